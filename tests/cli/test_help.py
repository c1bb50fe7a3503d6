"""`pillarbox --help` answers at once, every command explains itself, and the manual names them all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests.cli.yardstick import SMALLEST_HELP, cpu_of

from pillarbox import __version__
from pillarbox.cli.app import app

ROOT = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, object]]:
    """("account add", its function) for each command."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__, command.callback
    for group in app.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            yield f"{group.name} {command.name or command.callback.__name__}", command.callback


COMMANDS = dict(commands())


def pillarbox(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pillarbox", *arguments], input=stdin, capture_output=True, text=True, env=environment
    )


def test_every_command_is_there() -> None:
    assert set(COMMANDS) == {
        "demo", "tour", "serve", "fsck", "backup make", "backup verify", "restore", "index status", "index rebuild",
        "access list", "access unban", "metrics",
        "config check", "config explain",
        "account add", "account list", "account passwd", "account disable", "account enable", "account remove",
        "domain add", "domain list", "domain remove", "alias add", "alias list", "alias remove",
        "queue list", "queue retry", "queue hold", "queue release", "queue delete",
    }  # fmt: skip


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str) -> None:
    assert (getattr(COMMANDS[command], "__doc__", None) or "").strip()


def test_help_answers_at_once() -> None:
    ours, smallest = cpu_of(("-m", "pillarbox", "--help"), SMALLEST_HELP)
    assert ours < 1.5 * smallest


def test_help_loads_nothing_heavy() -> None:
    heavy = ["asyncio", "ssl", "apsw", "argon2", "cryptography", "dns", "structlog", "msgspec", "uvloop"]
    code = f"import sys; import pillarbox.cli.app; print([m for m in {heavy} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert loaded.stdout.strip() == "[]"


def test_version() -> None:
    assert pillarbox("--version").stdout == f"pillarbox {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["fly"], ["account", "add"], ["demo", "--port-offset", "many"], ["queue", "hold"]]
)
def test_what_is_typed_wrongly_ends_with_2(arguments: list[str]) -> None:
    done = pillarbox(*arguments)
    assert done.returncode == 2
    assert done.stderr
