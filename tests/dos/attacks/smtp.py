"""Port 25 and what may come over it."""

import asyncio
import itertools
from contextlib import suppress

from tests.crash.server import DOMAIN
from tests.dos.attacker import Target, Wire, attack
from tests.dos.town import MALLORY

_number = itertools.count()


async def greet(wire: Wire) -> None:
    """Up to MAIL."""
    await wire.reply()
    await wire.reply(b"EHLO x")
    await wire.reply(b"MAIL FROM:<>")


@attack("RCPT flood and dictionary attack")
async def dictionary(target: Target) -> None:
    """Guess names, many in one write."""

    async def guess(index: int) -> None:
        async with target.dial("smtp", source=target.stranger()) as wire:
            await greet(wire)
            wire.say(b"".join(b"RCPT TO:<guess%d@%b>\r\n" % (next(_number), DOMAIN.encode()) for _ in range(200)))
            while line := await wire.line():
                target.count[line[:3].decode()] += 1

    await target.swarm(target.many(30, 3), guess)


@attack("RCPT flood: a valid recipient, a hundred thousand times")
async def recipients(target: Target) -> None:
    """Nobody gets a message twice, but somebody has to look."""

    async def name(index: int) -> None:
        async with target.dial("smtp", source=f"127.30.0.{1 + index}") as wire:
            await greet(wire)
            for _ in range(1000):
                wire.say(b"RCPT TO:<%b>\r\n" % MALLORY.encode() * 100)
                for _ in range(100):
                    await wire.line()
                target.count["RCPT"] += 100

    await target.swarm(target.many(10, 2), name)


@attack("Messages that never end, by DATA")
async def endless_data(target: Target) -> None:
    """200 messages that grow, none of which is ever complete."""

    async def write(index: int) -> None:
        async with target.dial("smtp", source=f"127.31.{index // 40}.{1 + index % 40}") as wire:
            await greet(wire)
            await wire.reply(b"RCPT TO:<%b>" % MALLORY.encode())
            await wire.reply(b"DATA")
            wire.say(b"Subject: x\r\n\r\n")
            while True:
                await wire.pour(b"All work and no play makes Jack a dull boy.\r\n" * 1000)
                target.count["KiB"] += 44

    await target.swarm(target.many(200, 5), write, pause=0.2)


@attack("BDAT: empty chunks, huge chunks announced, chunks without a transaction")
async def chunks(target: Target) -> None:
    """RFC 3030's own ways."""

    async def send(index: int) -> None:
        async with target.dial("smtp", source=f"127.32.0.{1 + index}") as wire:
            await greet(wire)
            if index % 3 == 0:
                await wire.reply(b"RCPT TO:<%b>" % MALLORY.encode())
                while True:
                    wire.say(b"BDAT 0\r\n" * 500)
                    for _ in range(500):
                        await wire.line()
                    target.count["empty chunks"] += 500
            elif index % 3 == 1:
                wire.say(b"BDAT 99999999999999999999\r\n")
                while True:
                    await wire.pour(b"x" * 65536)
                    target.count["KiB of a huge chunk"] += 64
            else:
                await wire.reply(b"RSET")
                for _ in range(100):
                    wire.say(b"BDAT 1000 LAST\r\n" + b"y" * 1000)
                    await wire.line()
                    target.count["chunks without a transaction"] += 1

    await target.swarm(target.many(30, 6), send)


async def deliver(target: Target, wire: Wire) -> None:
    """Small messages for one mailbox on one connection, without end."""
    await wire.reply()
    await wire.reply(b"EHLO x")
    while True:
        wire.say(b"MAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % MALLORY.encode())
        for _ in range(3):
            await wire.line()
        wire.say(b"Subject: %d\r\n\r\nhello\r\n.\r\n" % next(_number))
        await wire.line()
        target.count["messages"] += 1


@attack("Message flood on port 25")
async def messages(target: Target) -> None:
    """Small messages for one mailbox, as fast as they are taken."""

    async def send(index: int) -> None:
        async with target.dial("smtp", source=f"127.33.0.{1 + index}") as wire:
            await deliver(target, wire)

    await target.swarm(target.many(30, 3), send)


@attack(
    "Messages that trickle: an octet now and then, in DATA, in chunks, in commands",
    extra="[limits]\nmessage_patience = 1\n",
    shown="sent away",
)
async def trickle(target: Target) -> None:
    """The shortest patience here, so that its end can be seen: everybody is sent away, and comes again."""

    async def drip(index: int) -> None:
        async with target.dial("smtp", source=f"127.34.{index // 40}.{1 + index % 40}") as wire:
            await greet(wire)
            await wire.reply(b"RCPT TO:<%b>" % MALLORY.encode())
            piece = (b"x", b"BDAT 1\r\nx", b"NOOP\r\n")[index % 3]
            if index % 3 == 0:
                await wire.reply(b"DATA")
            while not wire.reader.at_eof():
                await wire.pour(piece)
                target.count["octets"] += len(piece)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        if (await wire.line()).startswith(b"421 4.4.2"):
                            target.count["sent away"] += 1
                            return
                await asyncio.sleep(0.1)

    await target.swarm(target.many(200, 6), drip, pause=0.1)
