"""Messages that are made to break whoever reads them: delivered on port 25, then fetched and searched by their recipient."""

import asyncio
import itertools

from tests.dos.attacker import Target, attack
from tests.dos.attacks.smtp import greet
from tests.dos.town import MALLORY

_number = itertools.count()


async def _deliver_and_look(target: Target, message: bytes, items: bytes) -> None:
    """Some deliver the message all the time, others ask for what is hard to answer about the newest."""

    async def send(index: int) -> None:
        async with target.dial("smtp", source=f"127.40.0.{1 + index}") as wire:
            await greet(wire)
            await wire.reply(b"RCPT TO:<%b>" % MALLORY.encode())
            await wire.reply(b"DATA")
            for start in range(0, len(message), 2**20):
                await wire.pour(message[start : start + 2**20])
            wire.say(b"\r\n.\r\n")
            answer = await wire.line()
            target.count[f"delivery {answer[:3].decode()}"] += 1

    async def read(_: int) -> None:
        async with target.inside(limit=2**27) as wire:
            while True:
                answer = await wire.ask(b"FETCH * " + items)
                target.count["fetched" if b" OK" in answer else "refused"] += 1
                await wire.ask(b"NOOP")

    await asyncio.gather(target.swarm(3, send, pause=0.1), target.swarm(2, read, pause=0.1))


@attack("MIME with a million parts", memory=400)
async def million_parts(target: Target) -> None:
    """As many as fit into 20 MB."""
    count = target.many(1_000_000)
    message = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n\r\n" * count + b"--x--\r\n"
    await _deliver_and_look(target, message, b"(BODYSTRUCTURE BODY.PEEK[1.MIME])")


@attack("MIME nested 100,000 deep", memory=400)
async def deep_nesting(target: Target) -> None:
    """Parts in parts, and messages in messages."""
    depth = target.many(100_000)
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    letters = b"Content-Type: message/rfc822\r\n\r\n" * depth
    await _deliver_and_look(target, parts + letters, b"(ENVELOPE BODYSTRUCTURE BODY.PEEK[1.1.1.1.1.MIME])")


@attack("100,000 header fields, and a header line of 10 MB")
async def header_bombs(target: Target) -> None:
    """Port 25 takes neither; APPEND takes what the owner wants to keep."""
    many = b"X: y\r\n" * target.many(100_000)
    long = b"Subject: " + b"a" * target.many(10_000_000)

    async def send(index: int) -> None:
        async with target.dial("smtp", source=f"127.41.0.{1 + index}") as wire:
            await greet(wire)
            await wire.reply(b"RCPT TO:<%b>" % MALLORY.encode())
            await wire.reply(b"DATA")
            await wire.pour((long if index % 2 else many) + b"\r\n\r\nx\r\n.\r\n")
            answer = await wire.line()
            target.count[f"delivery {answer[:3].decode()}"] += 1

    async def keep(index: int) -> None:
        async with target.inside(source=f"127.42.0.{1 + index}", limit=2**27) as wire:
            message = (long if index % 2 else many) + b"\r\n\r\nx\r\n"
            while True:
                wire.say(b"a APPEND INBOX {%d}\r\n" % len(message))
                await wire.line()
                wire.say(message + b"\r\n")
                answer = await wire.outcome()
                target.count["kept" if b" OK" in answer else "not kept"] += 1
                await wire.ask(b"UID FETCH * (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (X SUBJECT FROM)])")
                await wire.ask(b'SEARCH SUBJECT "zzz" HEADER X "zzz"')

    await asyncio.gather(target.swarm(4, send, pause=0.1), target.swarm(2, keep, pause=0.1))


@attack("Address bombs in From, To and Cc")
async def address_bombs(target: Target) -> None:
    """What makes parsers of addresses go round."""
    size = target.many(60_000)
    fields = (
        b"From: " + b"(" * size,
        b"To: " + b'"\\"' * (size // 3),
        b"Cc: " + b"<@a,@b:" * (size // 7),
        b"Bcc: " + b"g:a@b;" * (size // 6),
        b"Reply-To: " + b"a@b, " * (size // 5),
    )
    for number in range(len(fields)):
        target.count["kinds"] = number + 1
    message = b"\r\n".join(fields)[: 250 * 1024] + b"\r\n\r\nx"
    await _deliver_and_look(target, message, b"(ENVELOPE BODYSTRUCTURE)")


@attack("Encoded words and charsets by the thousand")
async def encoded_words(target: Target) -> None:
    """A subject that is long to decode, looked for again and again."""
    subject = b"=?utf-7?q?" + b"+AGE-" * 8 + b"?=\r\n "
    message = b"Subject: " + subject * target.many(4_000) + b"x\r\n\r\nx"

    async def search(_: int) -> None:
        async with target.inside(limit=2**27) as wire:
            while True:
                await wire.ask(b'SEARCH TEXT "z%d" SUBJECT "q%d"' % (next(_number), next(_number)))
                target.count["searches"] += 1

    await asyncio.gather(_deliver_and_look(target, message, b"(ENVELOPE)"), target.swarm(2, search))
