"""The manual is true: each command, port and file that it names exists, and each that exists is named."""

import re
import tomllib
from pathlib import Path

import pytest
from tests.cli.test_help import COMMANDS
from tests.demo import PORTS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_each_command_is_named() -> None:
    named = set()
    for first, rest in re.findall(r"`pillarbox (\w+)(?: ([\w\\|]+))?", README):
        named |= {f"{first} {word}" for word in rest.split("\\|")} if rest else {first}
    assert set(COMMANDS) <= named
    known = set(COMMANDS) | {c.split()[0] for c in COMMANDS}
    assert {n for n in named if n.split()[0] not in known} == set()


@pytest.mark.parametrize("port", PORTS.values())
def test_each_port_is_in_the_table(port: int) -> None:
    assert re.search(rf"^\| {port} \| {port + 10000} \|", README, re.MULTILINE)


def test_each_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_two_commands_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("run", "test", "check", "interop"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_configuration_in_it_is_short_and_right() -> None:
    from pillarbox.server.config import parse

    [text] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert text.count("\n") < 20
    assert parse(text.encode()).domains == tomllib.loads(text)["domains"]
