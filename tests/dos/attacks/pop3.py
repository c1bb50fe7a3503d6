"""POP3: a large maildrop, opened again and again."""

from tests.crash.server import PASSWORD
from tests.dos.attacker import Target, attack
from tests.dos.town import MALLORY


@attack("POP3: a maildrop of 100,000 opened, listed and left, again and again", mailbox=100_000, shown="lines")
async def maildrop(target: Target) -> None:
    """LIST, UIDL, and the top of every message."""

    async def collect(index: int) -> None:
        async with target.dial("pop3s", source=f"127.70.0.{1 + index}") as wire:
            await wire.line()
            wire.say(b"USER %b\r\nPASS %b\r\n" % (MALLORY.encode(), PASSWORD.encode()))
            await wire.line()
            if not (await wire.line()).startswith(b"+OK"):
                target.count["in use"] += 1
                return
            wire.say(b"LIST\r\nUIDL\r\n" + b"".join(b"TOP %d 0\r\n" % (n + 1) for n in range(500)) + b"QUIT\r\n")
            while await wire.line():
                target.count["lines"] += 1

    await target.swarm(target.many(10, 2), collect)


@attack("POP3: pipelined RETR, nothing read")
async def retrieve(target: Target) -> None:
    """All replies wait for somebody who does not take them."""

    async def ask(index: int) -> None:
        async with target.dial("pop3s", source=f"127.71.0.{1 + index}") as wire:
            await wire.line()
            wire.say(b"USER %b\r\nPASS %b\r\n" % (MALLORY.encode(), PASSWORD.encode()))
            wire.reader._limit = 1  # type: ignore[attr-defined]
            while True:
                await wire.pour(b"".join(b"RETR %d\r\n" % (n + 1) for n in range(1000)))
                target.count["commands"] += 1000

    await target.swarm(target.many(10, 2), ask)
