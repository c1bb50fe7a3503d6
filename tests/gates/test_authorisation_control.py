"""Who may command the server through its control socket: its own user and root, and nobody else."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pillarbox.server import control
from pillarbox.server.control import ControlError, ControlServer, call, may_command, peer_user

KNOCK = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(b'{"verb": "list_accounts"}\\n')
    print(connection.makefile().readline())
"""
"""Becomes nobody, then calls."""


async def never(verb: str, arguments: dict[str, Any]) -> Any:
    raise AssertionError(f"{verb} was carried out")


@pytest.mark.parametrize(
    ("user", "own", "may"), [(0, 0, True), (0, 8, True), (8, 8, True), (9, 8, False), (8, 0, False), (None, 8, True)]
)
def test_root_and_the_server_itself(user: int | None, own: int, may: bool) -> None:
    assert may_command(user, own) is may


def test_the_system_says_who_is_there() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_user(ours) in (os.geteuid(), None)
        if sys.platform == "linux":
            assert peer_user(ours) == os.geteuid()


@pytest.fixture
def open_house() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


async def test_another_user_is_not_heard(open_house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when somebody opened the directory and the socket to all."""
    server = ControlServer(open_house / "control.sock", never)
    await server.start()
    if os.geteuid() == 0:
        server.path.chmod(0o666)
        knock = [sys.executable, "-c", KNOCK, str(server.path)]
        knocking = await asyncio.to_thread(subprocess.run, knock, capture_output=True, text=True)
        assert knocking.stdout, knocking.stderr
        assert "its own user and root only" in json.loads(knocking.stdout)["error"]
    monkeypatch.setattr(control, "peer_user", lambda _connection: os.geteuid() + 1)
    with pytest.raises(ControlError, match="its own user and root only"):
        await asyncio.to_thread(call, server.path, "list_accounts", {})
    await server.stop()
