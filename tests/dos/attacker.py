"""The attackers' tools, and the process that runs one attack until its time is over.

Usage: python -m tests.dos.attacker NAME OFFSET SECONDS SCALE NICE. Writes one JSON line at the end: what was done, by name.
"""

import asyncio
import importlib
import itertools
import json
import logging
import os
import pkgutil
import resource
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.crash.server import PASSWORD
from tests.demo import PORTS
from tests.dos import attacks
from tests.dos.town import MALLORY

IMPLICIT = frozenset(("submissions", "pop3s", "imaps"))

Broken = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)
"""What ends a connection of an attacker, who then makes the next."""


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class Wire:
    """One connection of an attacker."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> bytes:
        """The next line. Raises EOFError."""
        line = await self.reader.readline()
        if not line:
            raise EOFError
        return line

    def say(self, octets: bytes) -> None:
        """Send, without waiting."""
        self.writer.write(octets)

    async def pour(self, octets: bytes) -> None:
        """Send as fast as the peer takes it. Raises EOFError when the peer has ended the connection."""
        if self.reader.at_eof() or self.writer.is_closing():
            raise EOFError
        self.writer.write(octets)
        await self.writer.drain()
        await asyncio.sleep(0)  # drain alone may never wait, and the others would not get their turn

    async def ask(self, command: bytes, tag: bytes = b"a") -> bytes:
        """An IMAP command and its tagged line, whatever it says."""
        self.say(tag + b" " + command + b"\r\n")
        return await self.outcome(tag)

    async def outcome(self, tag: bytes = b"a") -> bytes:
        """The tagged line of the command that was sent."""
        await self.writer.drain()
        while not (line := await self.line()).startswith((tag + b" ", b"* BYE")):
            pass
        return line

    async def reply(self, command: bytes = b"") -> bytes:
        """An SMTP command, if any, and the last line of the reply."""
        if command:
            self.say(command + b"\r\n")
            await self.writer.drain()
        while (line := await self.line())[3:4] == b"-":
            pass
        return line


@dataclass
class Target:
    """The server and how much of everything: `scale` 1 is the full size. `count` says what was done."""

    offset: int
    scale: float
    count: Counter[str] = field(default_factory=Counter)
    context: ssl.SSLContext = field(default_factory=_careless)
    _addresses: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def many(self, number: int, least: int = 1) -> int:
        """So many, in this size."""
        return max(least, round(number * self.scale))

    def stranger(self) -> str:
        """A fresh address in a block of its own."""
        number = next(self._addresses) % 60_000
        return f"127.{1 + number // 250}.{number % 250}.7"

    @asynccontextmanager
    async def dial(
        self, listener: str, *, source: str = "127.0.0.9", tls: bool | None = None, limit: int = 2**16
    ) -> AsyncIterator[Wire]:
        """A connection; `tls` None as the port wants it."""
        wants_tls = listener in IMPLICIT if tls is None else tls
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", PORTS[listener] + self.offset, ssl=self.context if wants_tls else None,
            local_addr=(source, 0), limit=limit,
        )  # fmt: skip
        self.count["connections"] += 1
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def inside(
        self, *, source: str = "127.0.0.9", select: bool = True, limit: int = 2**16
    ) -> AsyncIterator[Wire]:
        """Mallory's IMAP session."""
        async with self.dial("imaps", source=source, limit=limit) as wire:
            await wire.line()
            answer = await wire.ask(b'LOGIN %b "%b"' % (MALLORY.encode(), PASSWORD.encode()))
            if b" OK" not in answer:
                self.count["login refused"] += 1
                await asyncio.sleep(0.2)
                raise EOFError
            if select:
                await wire.ask(b"SELECT INBOX")
            yield wire

    async def swarm(self, number: int, act: Callable[[int], Awaitable[None]], *, pause: float = 0.01) -> None:
        """`number` attackers who do it again and again; a broken connection is counted and made anew."""

        async def one(index: int) -> None:
            while True:
                try:
                    await act(index)
                except Broken as error:
                    self.count[f"cut off ({type(error).__name__})"] += 1
                await asyncio.sleep(pause)

        async with asyncio.TaskGroup() as group:
            for index in range(number):
                group.create_task(one(index))


@dataclass(frozen=True)
class Attack:
    """`title` is for the table. `memory`: MiB that the server may need more than before, at full size. `extra`: configuration
    of the server. `shown`: what must have been counted at least once. `mailbox`: messages in Mallory's INBOX."""

    name: str
    title: str
    run: Callable[[Target], Awaitable[None]]
    memory: int
    extra: str = ""
    shown: str = ""
    mailbox: int = 0


ATTACKS: dict[str, Attack] = {}


def attack(
    title: str, *, memory: int = 150, extra: str = "", shown: str = "", mailbox: int = 0
) -> Callable[[Callable[[Target], Awaitable[None]]], Callable[[Target], Awaitable[None]]]:
    """Put a coroutine function into the table, by its name."""

    def enter(run: Callable[[Target], Awaitable[None]]) -> Callable[[Target], Awaitable[None]]:
        name = run.__name__.replace("_", "-")
        ATTACKS[name] = Attack(name, title, run, memory, extra, shown, mailbox)
        return run

    return enter


def load() -> dict[str, Attack]:
    """All attacks."""
    for module in pkgutil.iter_modules(attacks.__path__):
        importlib.import_module(f"{attacks.__name__}.{module.name}")
    return ATTACKS


async def carry_out(chosen: Attack, target: Target, seconds: float) -> None:
    """Until its time is over; the process then ends without letting thousands of connections go one by one."""
    running = asyncio.ensure_future(chosen.run(target))
    await asyncio.wait([running], timeout=seconds)
    if running.done():
        await running  # it should not have ended: say why
    print(json.dumps(target.count), flush=True)
    os._exit(0)


def main() -> None:
    """The command."""
    from tests.dos import attacker  # this file as a module, not as __main__: the table is there

    name, offset, seconds, scale, nice = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    logging.disable()  # asyncio complains of each write to a connection that is gone
    os.nice(int(nice))  # real attackers compute elsewhere
    target = attacker.Target(int(offset), float(scale))
    asyncio.run(carry_out(attacker.load()[name], target, float(seconds)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
