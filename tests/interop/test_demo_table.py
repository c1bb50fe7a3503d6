"""What the demo's table says one should type works as it stands."""

import re
from pathlib import Path

import pytest
from tests.demo import PORTS, Demo
from tests.interop.conftest import run

from pillarbox.cli.demo_run import what_to_type

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def commands(demo: Demo) -> dict[str, str]:
    """Listener name to the command line that the demo printed for it."""
    text = demo.output()
    return {
        name: re.search(rf"^ {port + demo.offset} .*\n\s+(.+?)\s*$", text, re.MULTILINE)[1]  # type: ignore[index]
        for name, port in PORTS.items()
    }


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("smtp", ""),
        ("submissions", ""),
        ("submission", ""),
        ("pop3", r"^1 \d+"),
        ("pop3s", r"^Subject: "),
        ("imap", r'\\Sent\) "/" "?Sent'),
        ("imaps", r"\* 1 FETCH .*ENVELOPE"),
    ],
)
def test_each_line_works(demo: Demo, commands: dict[str, str], tmp_path: Path, listener: str, expected: str) -> None:
    if listener in ("pop3", "pop3s"):
        run("sh", "-c", commands["submissions"], home=tmp_path)  # so that there is something to fetch
    if listener == "imaps":
        run("sh", "-c", commands["smtp"], home=tmp_path)
    output = run("sh", "-c", commands[listener], home=tmp_path)
    assert re.search(expected, output, re.MULTILINE), output


@pytest.mark.parametrize("listener", PORTS)
def test_it_can_be_copied_from_a_terminal(demo: Demo, commands: dict[str, str], listener: str) -> None:
    pieces = what_to_type(listener, PORTS[listener] + demo.offset, demo.ca)
    assert " ".join(pieces) == commands[listener]
    assert max(len(piece.replace(str(demo.ca), "/tmp/pillarbox-abcdefgh/ca.pem")) for piece in pieces) < 70
