"""Idle connections on one server: memory grows with them, nothing else does."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from bench.client import Imap, Smtp
from bench.corpus import small
from bench.growth.curve import Promise, Table
from bench.idlers import crowd, open_idle
from bench.measure import pss
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from bench.workload import quiet

ACCOUNTS = 201
TIMES = 50
WATCH = 5.0


async def run(table: Table, folder: Path, sizes: list[int]) -> None:
    """One server; more and more connections."""
    stack = Pillarbox(folder / "connections", ACCOUNTS)
    await asyncio.to_thread(stack.start)
    try:
        for n in range(ACCOUNTS):
            session = await Imap.login(stack, account(n))
            await session.logout()
        await quiet(stack)
        before, there = pss(stack.roots, "Pss_Anon"), 0
        with ExitStack() as until_the_end:
            for count in sizes:
                more = until_the_end.enter_context(crowd(stack, ACCOUNTS - 1, count - there))
                there += more.open
                if more.problem:
                    table.notes.append(f"{there} of {count} connections: {more.problem}")
                await _measure(table, stack, there, before)
    finally:
        await asyncio.to_thread(stack.stop)


async def _measure(table: Table, stack: Pillarbox, count: int, before: int) -> None:
    last = account(ACCOUNTS - 1)
    await quiet(stack)
    table.put(count, "memory", (pss(stack.roots, "Pss_Anon") - before) / 2**20, "MiB", Promise.LINEAR)
    used = stack.cpu()
    await asyncio.sleep(WATCH)
    share = (stack.cpu() - used) / WATCH * 100
    table.put(count, "nothing happens", share, "% of a CPU", Promise.LINEAR, floor=1.0)
    device, sender = await open_idle(stack, last), await Smtp.connect(stack)

    async def push(n: int) -> None:
        heard = device.wire.ask(b"", lambda buffer: b" EXISTS\r\n" in buffer)
        await sender.send(last, small(n))
        await heard

    async def login(_n: int) -> None:
        session = await Imap.login(stack, last)
        await session("SELECT INBOX")
        await session.logout()

    await table.time(count, "new mail, until a device knows", stack, push, TIMES, Promise.FLAT)
    await table.time(count, "login and SELECT", stack, login, TIMES, Promise.FLAT)
    await sender.quit()
    device.wire.close()
