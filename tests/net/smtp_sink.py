"""A small SMTP server for tests of the sender: each session follows a table of replies, and what came is kept."""

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import cast


class SmtpSink:
    """`replies`: verb (or "end" for the final dot) to octets; None closes the connection instead. `messages` are what
    came, without dot-stuffing; `commands` every line."""

    def __init__(
        self,
        *extensions: str,
        context: ssl.SSLContext | None = None,
        implicit: bool = False,
        replies: Mapping[str, bytes | None] | None = None,
        greeting: bytes = b"220 sink\r\n",
    ) -> None:
        self.extensions = extensions
        self.context = context
        self.implicit = implicit
        self.replies = dict(replies or {})
        self.greeting = greeting
        self.messages: list[bytes] = []
        self.commands: list[str] = []
        self.connections = 0
        self.encrypted = 0
        self.port = 0
        self.injected = b""
        self._server: asyncio.Server | None = None
        self.sessions: set[Session] = set()

    async def __aenter__(self) -> "SmtpSink":
        context = self.context if self.implicit else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()

    def drop(self) -> None:
        """Cut every connection."""
        for session in self.sessions:
            session.close()


class Session(asyncio.Protocol):
    """One connection; its `replies` may differ from the others'."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self.replies = sink.replies
        self._in_data = False
        self._upgrading = False
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sink.connections += 1
        self._sink.sessions.add(self)
        self._transport.write(self._sink.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.sessions.discard(self)

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgrading:
            self._work()

    def _work(self) -> None:
        while not self._transport.is_closing() and not self._upgrading:
            end = self._end()
            if end < 0:
                return
            octets = bytes(self._buffer[:end])
            del self._buffer[:end]
            if self._in_data:
                self._message(octets)
            else:
                self._command(octets.decode().rstrip("\r\n"))

    def _end(self) -> int:
        if not self._in_data:
            return self._buffer.find(b"\r\n") + 2 if b"\r\n" in self._buffer else -1
        if self._buffer.startswith(b".\r\n"):
            return 3
        found = self._buffer.find(b"\r\n.\r\n", max(0, len(self._buffer) - 300_000))
        return found + 5 if found >= 0 else -1

    def _command(self, line: str) -> None:
        sink, write = self._sink, self._transport.write
        sink.commands.append(line)
        verb = line.partition(" ")[0].upper()
        encrypted = self._transport.get_extra_info("ssl_object") is not None
        if verb in self.replies:
            self._say(self.replies[verb])
        elif verb == "EHLO":
            lines = ["sink", *sink.extensions, *(["STARTTLS"] if sink.context and not encrypted else [])]
            for i, text in enumerate(lines):
                write(f"250{'-' if i < len(lines) - 1 else ' '}{text}\r\n".encode())
        elif verb == "STARTTLS" and sink.context is not None:
            write(b"220 go\r\n" + sink.injected)
            self._upgrading = True
            self._upgrade = asyncio.create_task(self._start_tls(sink.context))
        elif verb == "DATA":
            self._in_data = True
            write(b"354 go\r\n")
        elif verb == "QUIT":
            write(b"221 bye\r\n")
            self._transport.close()
        else:
            write(b"250 2.0.0 ok\r\n")

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(self._transport, self, context, server_side=True)
        except OSError:
            return
        if encrypted is not None:
            self._transport = encrypted
            self._sink.encrypted += 1
            self._upgrading = False
            self._work()

    def _message(self, octets: bytes) -> None:
        self._in_data = False
        reply = self.replies.get("end", b"250 2.0.0 queued\r\n")
        if reply is not None:
            body = b"\r\n" + octets.removesuffix(b".\r\n")
            self._sink.messages.append(body.replace(b"\r\n.", b"\r\n")[2:])
        self._say(reply)

    def _say(self, reply: bytes | None) -> None:
        if reply is None:
            self._transport.abort()
        else:
            self._transport.write(reply)
