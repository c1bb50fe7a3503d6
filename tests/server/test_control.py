"""The control socket."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from pillarbox.server.control import ControlError, ControlServer, call


async def _handle(verb: str, arguments: dict[str, Any]) -> Any:
    match verb:
        case "echo":
            return arguments
        case "refuse":
            raise ControlError("No.", "Ask another.", later=True)
        case _:
            raise LookupError("a bug with a secret")


async def test_verbs_refusals_and_bugs(tmp_path: Path) -> None:
    path, bugs = tmp_path / "control.sock", list[str]()
    path.touch()  # left behind by a server that was killed
    server = ControlServer(path, _handle, bug=lambda verb, error: bugs.append(f"{verb}: {error!r}"))
    await server.start()
    assert path.stat().st_mode & 0o777 == 0o600
    assert await asyncio.to_thread(call, path, "echo", {"a": [1, "ü"]}) == {"a": [1, "ü"]}
    with pytest.raises(ControlError) as refused:
        await asyncio.to_thread(call, path, "refuse", {})
    assert (refused.value.text, refused.value.advice, refused.value.later) == ("No.", "Ask another.", True)
    with pytest.raises(ControlError, match="made a mistake"):
        await asyncio.to_thread(call, path, "bug", {})
    assert bugs == ["bug: LookupError('a bug with a secret')"]
    await server.stop()
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        call(path, "echo", {})


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"arguments": {}}\n',
        b'{"verb": "echo", "arguments": 3}\n',
        pytest.param(b'{"verb": %b1%b}\n' % (b"[" * 20_000, b"]" * 20_000), id="nested"),
    ],
)
async def test_what_is_no_request(tmp_path: Path, line: bytes) -> None:
    server = ControlServer(tmp_path / "control.sock", _handle)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    writer.write(line + b'{"verb": "echo"}\n')
    assert "error" in json.loads(await reader.readline())
    assert json.loads(await reader.readline()) == {"result": {}}  # still in step
    writer.close()
    await server.stop()


async def test_deep_directory(tmp_path: Path) -> None:
    """A socket's address has room for some 100 octets only."""
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    server = ControlServer(directory / "control.sock", _handle)
    await server.start()
    assert await asyncio.to_thread(call, directory / "control.sock", "echo", {}) == {}
    await server.stop()


async def test_stop_waits_for_the_verb_that_runs(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_verb: str, _arguments: dict[str, Any]) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    server = ControlServer(tmp_path / "control.sock", slow)
    await server.start()
    calling = asyncio.create_task(asyncio.to_thread(call, server.path, "slow", {}))
    await begun.wait()
    stopping = asyncio.create_task(server.stop())
    go_on.set()
    assert await calling == "done"
    await stopping


def test_nobody_there(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        call(path, "echo", {})
