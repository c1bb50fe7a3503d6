"""The control socket: how commands reach a running server. One JSON object a line, each way.

`{"verb": "add_domain", "arguments": {...}}` is answered by `{"result": ...}`, or by
`{"error": ..., "advice": ..., "later": ...}`.

Security: whoever is heard may do everything. The socket lies in the data directory (0700), is 0600 itself, and hears only
the server's own user and root, whatever became of those modes.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

NAME = "control.sock"

MAX_REQUEST = 1024 * 1024
"""Octets of one request: an alias with some ten thousand targets."""

_PATH_ROOM = 100
"""Octets that surely fit into a socket address (108 on Linux, 104 elsewhere)."""

_NOT_YOURS = {"error": "The server hears its own user and root only.", "advice": "Use sudo.", "later": False}

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Carries out one verb. Raises Refused-like errors with `text`, `advice` and `later`."""


class ControlError(Exception):
    """The verb was not carried out; `advice` says what to do, `later` that trying again may help."""

    def __init__(self, text: str, advice: str = "", *, later: bool = False) -> None:
        super().__init__(text)
        self.text, self.advice, self.later = text, advice, later


class ControlServer:
    """Serves the socket. `refusal` is the type of error that is meant for the caller; all others are bugs."""

    def __init__(
        self,
        path: Path,
        handler: Handler,
        *,
        refusal: type[Exception] = ControlError,
        bug: Callable[[str, Exception], None] = lambda _verb, _error: None,
    ) -> None:
        self.path = path
        self._handler, self._refusal, self._bug = handler, refusal, bug
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()
        self._verbs: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Listen. A socket that was left behind is replaced: the lock of the data directory says that we are alone."""
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self.path) as address:
                listening.bind(address)
            self.path.chmod(0o600)
        except OSError:
            listening.close()
            raise
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_REQUEST)

    async def stop(self) -> None:
        """Accept no more; verbs that run are waited for."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.gather(*self._verbs, return_exceptions=True)
        for task in list(self._callers):
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = may_command(peer_user(writer.get_extra_info("socket")), os.geteuid())
        task = asyncio.current_task()
        if task is not None:
            self._callers.add(task)
            task.add_done_callback(self._callers.discard)
        try:
            while line := await reader.readline():
                answer = await self._answer(line) if heard else _NOT_YOURS
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line above MAX_REQUEST
            pass
        except asyncio.CancelledError:
            pass  # stop(): nothing is left to say
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            verb, arguments = str(request["verb"]), dict(request.get("arguments", {}))
        except (ValueError, KeyError, TypeError, RecursionError):  # the last: JSON nested a thousand deep
            return {"error": "This is not a request.", "advice": "", "later": False}
        running = asyncio.ensure_future(self._handler(verb, arguments))
        self._verbs.add(running)
        running.add_done_callback(self._verbs.discard)
        try:
            return {"result": await asyncio.shield(running)}  # a caller that leaves does not tear it apart
        except self._refusal as refusal:
            return {
                "error": getattr(refusal, "text", str(refusal)),
                "advice": getattr(refusal, "advice", ""),
                "later": getattr(refusal, "later", False),
            }
        except Exception as error:
            self._bug(verb, error)
            return {"error": "The server made a mistake.", "advice": "Its log says more.", "later": False}


def may_command(user: int | None, own: int) -> bool:
    """Whether a caller's user id may command a server that runs as `own`. None, where the system does not tell: the modes
    of the file and its directory have let the caller through."""
    return user is None or user in (0, own)


def peer_user(connection: socket.socket) -> int | None:
    """The user id of the process at the other end (SO_PEERCRED of Linux), None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return int(user)


def call(path: Path, verb: str, arguments: dict[str, Any], *, patience: float = 120.0) -> Any:
    """Have a running server carry out a verb. Raises ControlError; ConnectionRefusedError or FileNotFoundError when no
    server runs there; PermissionError when it is another user's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        with _short(path) as address:
            connection.connect(address)
        connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line.endswith(b"\n"):
        raise ControlError("The server stopped in the middle of its answer.", "Look into its log.", later=True)
    answer = json.loads(line)
    if "error" in answer:
        raise ControlError(answer["error"], answer.get("advice", ""), later=bool(answer.get("later")))
    return answer.get("result")


class _short:  # noqa: N801  (used as a function)
    """A form of the path that fits into a socket address, while the block runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < _PATH_ROOM:
            return str(self._path)
        self._descriptor = os.open(self._path.parent, os.O_PATH | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
