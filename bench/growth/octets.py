"""Size of one message: linear, and others do not wait for it."""

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.bystander import bystander
from bench.client import Imap, Pop3, Smtp, dotted
from bench.growth.curve import Promise, Table
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from bench.workload import quiet

OWNER, OTHER, READER = account(0), account(1), account(2)


def message(size: int) -> bytes:
    """About so many octets: a letter with a document attached."""
    head = (
        b"From: <a@example.org>\r\nTo: <b@bench.test>\r\nSubject: a document\r\nMessage-ID: <%d@example.org>\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="mix"\r\n\r\n--mix\r\n'
        b"Content-Type: text/plain\r\n\r\nHere it is.\r\n--mix\r\nContent-Type: application/pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n" % size
    )
    blob = random.Random(size).randbytes(max(100, (size - len(head)) * 3 // 4 * 76 // 78))
    return head + base64.encodebytes(blob).replace(b"\n", b"\r\n") + b"--mix--\r\n"


async def run(table: Table, folder: Path, sizes: list[int]) -> None:
    """One server; larger and larger messages."""
    stack = Pillarbox(folder / "octets", 3)
    await asyncio.to_thread(stack.start)
    try:
        for size in sizes:
            await _measure(table, stack, size)
    finally:
        await asyncio.to_thread(stack.stop)


async def _measure(table: Table, stack: Pillarbox, size: int) -> None:
    octets = await asyncio.to_thread(message, size)
    times = max(2, min(30, 20_000_000 // size))
    sender = await Smtp.connect(stack)
    reader = await Imap.login(stack, READER)
    await reader("SELECT INBOX")
    worst = 0.0

    async def timed(name: str, operation: Callable[[int], Awaitable[object]]) -> None:
        nonlocal worst
        await table.time(size, name, stack, operation, times, Promise.LINEAR, floor=3000.0)
        with bystander(stack, OTHER) as waits:
            await operation(0)
        worst = max(worst, *waits, 0.0)
        await quiet(stack)

    await timed("SMTP delivery", lambda _n: sender.send(OWNER, octets))
    await timed("IMAP APPEND", lambda _n: reader.append("INBOX", [octets]))
    await reader("NOOP")
    await timed("IMAP FETCH BODY.PEEK[]", lambda _n: reader("FETCH * (BODY.PEEK[])"))
    await timed("IMAP FETCH one part", lambda _n: reader("FETCH * (BODY.PEEK[2])"))
    await timed("IMAP FETCH BODYSTRUCTURE", lambda _n: reader("FETCH * (BODYSTRUCTURE)"))
    drop = await Pop3.login(stack, READER)
    stat = await drop.wire.ask(b"STAT\r\n", lambda buffer: buffer.endswith(b"\r\n"))
    last = stat.split()[1]
    await timed("POP3 RETR", lambda _n: drop.wire.ask(b"RETR %s\r\n" % last, dotted))
    await drop.quit()
    table.put(size, "longest wait of a bystander", worst, "ms", Promise.LINEAR, floor=100.0)
    await reader("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    await reader("EXPUNGE")
    await reader.logout()
    await sender.quit()
