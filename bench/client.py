"""Clients that cost little: one asyncio protocol that sends prepared octets and waits for the end of the answer."""

import asyncio
import base64
import ssl
from collections.abc import Callable

from bench.stack import PASSWORD, Stack

Finished = Callable[[bytearray], bool]


class Wire(asyncio.Protocol):
    """One connection. `ask` sends octets and returns the answer once `finished` says that it is whole."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.waiter: asyncio.Future[bytes] | None = None
        self.finished: Finished = lambda _buffer: False
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.received += len(data)
        if self.waiter is not None and self.finished(self.buffer):
            waiter, self.waiter = self.waiter, None
            answer, self.buffer = bytes(self.buffer), bytearray()
            waiter.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(
                exc or ConnectionError(f"closed by the server after {bytes(self.buffer[-200:])!r}")
            )

    def ask(self, octets: bytes, finished: Finished) -> asyncio.Future[bytes]:
        """Send and wait for the whole answer."""
        self.waiter = asyncio.get_running_loop().create_future()
        self.finished = finished
        if octets:
            self.transport.write(octets)  # type: ignore[attr-defined]
        if self.buffer and finished(self.buffer):
            answer, self.buffer = bytes(self.buffer), bytearray()
            self.waiter.set_result(answer)
            waiter, self.waiter = self.waiter, None
            return waiter
        return self.waiter

    def close(self) -> None:
        """Hang up."""
        self.transport.close()


def lines(count: int) -> Finished:
    """An answer of `count` final SMTP or POP3 lines."""

    def finished(buffer: bytearray) -> bool:
        if not buffer.endswith(b"\r\n"):
            return False
        return sum(line[3:4] != b"-" for line in buffer.split(b"\r\n")[:-1]) >= count

    return finished


def tagged(tag: bytes) -> Finished:
    """An IMAP answer up to its tagged response."""
    start = tag + b" "

    def finished(buffer: bytearray) -> bool:
        if not buffer.endswith(b"\r\n"):
            return False
        last = buffer.rfind(b"\r\n", 0, len(buffer) - 2)
        return buffer.startswith(start, last + 2 if last >= 0 else 0)

    return finished


def dotted(buffer: bytearray) -> bool:
    """A multi-line POP3 answer."""
    return buffer.endswith(b"\r\n.\r\n") or buffer.startswith(b"-ERR")


async def connect(stack: Stack, port: str) -> Wire:
    """Connect to a port by its name; those that end in "s" speak TLS, without session resumption."""
    context = None
    if port.endswith("s"):
        context = ssl.create_default_context(cafile=str(stack.ca))
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(
        Wire, "127.0.0.1", stack.ports[port], ssl=context, server_hostname="localhost" if context else None
    )
    await wire.ask(b"", lines(1))
    return wire


class Imap:
    """An IMAP session inside TLS."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.number = 0

    @classmethod
    async def login(cls, stack: Stack, address: str) -> "Imap":
        """Connect and log in."""
        session = cls(await connect(stack, "imaps"))
        await session(f"LOGIN {address} {PASSWORD}")
        return session

    async def __call__(self, command: str | bytes) -> bytes:
        """One command; its whole answer. Raises RuntimeError unless it is OK."""
        self.number += 1
        tag = b"t%d" % self.number
        octets = command if isinstance(command, bytes) else command.encode()
        answer = await self.wire.ask(tag + b" " + octets + b"\r\n", tagged(tag))
        if answer.rfind(tag + b" OK") < 0:
            raise RuntimeError(f"{octets[:80]!r}: {answer[-200:]!r}")
        return answer

    async def append(self, mailbox: str, messages: list[bytes]) -> bytes:
        """One or more messages, by non-synchronising literals."""
        command = b"APPEND " + mailbox.encode() + b"".join(b" {%d+}\r\n" % len(m) + m for m in messages)
        return await self(command)

    async def logout(self) -> None:
        """Say goodbye and hang up."""
        await self("LOGOUT")
        self.wire.close()


class Pop3:
    """A POP3 session inside TLS."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    async def login(cls, stack: Stack, address: str) -> "Pop3":
        """Connect and log in."""
        session = cls(await connect(stack, "pop3s"))
        await session.wire.ask(f"USER {address}\r\n".encode(), lines(1))
        answer = await session.wire.ask(f"PASS {PASSWORD}\r\n".encode(), lines(1))
        if not answer.startswith(b"+OK"):
            raise RuntimeError(answer.decode())
        return session

    async def quit(self) -> None:
        """QUIT and hang up."""
        await self.wire.ask(b"QUIT\r\n", lines(1))
        self.wire.close()


class Smtp:
    """An SMTP session in the clear: another server that delivers."""

    sender = "sender@example.org"

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    async def connect(cls, stack: Stack) -> "Smtp":
        """Connect and greet."""
        session = cls(await connect(stack, "smtp"))
        await session.wire.ask(b"EHLO client.example.org\r\n", lines(1))
        return session

    async def send(self, recipient: str, message: bytes) -> None:
        """One message, pipelined up to DATA as real servers do. Raises RuntimeError unless accepted."""
        envelope = f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        await self.wire.ask(envelope.encode(), lines(3))
        answer = await self.wire.ask(message.replace(b"\r\n.", b"\r\n..") + b".\r\n", lines(1))
        if not answer.startswith(b"250"):
            raise RuntimeError(answer.decode())

    async def quit(self) -> None:
        """QUIT and hang up."""
        await self.wire.ask(b"QUIT\r\n", lines(1))
        self.wire.close()


class Submission(Smtp):
    """A mail program that sends: inside TLS, logged in."""

    @classmethod
    async def login(cls, stack: Stack, address: str) -> "Submission":
        """Connect and log in as the sender of all that follows."""
        session = cls(await connect(stack, "submissions"))
        session.sender = address
        await session.wire.ask(b"EHLO client.example.org\r\n", lines(1))
        answer = await session.wire.ask(f"AUTH PLAIN {plain(address)}\r\n".encode(), lines(1))
        if not answer.startswith(b"235"):
            raise RuntimeError(answer.decode())
        return session


def plain(address: str) -> str:
    """SASL PLAIN's initial response."""
    return base64.b64encode(f"\0{address}\0{PASSWORD}".encode()).decode()
