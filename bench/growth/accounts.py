"""Accounts on one server."""

import asyncio
from pathlib import Path

from bench.client import Imap, Smtp
from bench.corpus import small
from bench.growth.curve import Promise, Table
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from bench.workload import quiet

TIMES = 100
VISITED = 10
"""Accounts that log in: the first check of a password is slow on purpose, and cached afterwards."""


async def run(table: Table, folder: Path, sizes: list[int]) -> None:
    """One fresh server for each number."""
    for count in sizes:
        stack = Pillarbox(folder / f"accounts{count}", count)
        await asyncio.to_thread(stack.start)
        try:
            await _measure(table, stack, count)
        finally:
            await asyncio.to_thread(stack.stop)


async def _measure(table: Table, stack: Pillarbox, count: int) -> None:
    table.put(count, "start until ports answer", stack.start_seconds, "s", Promise.FLAT, floor=1.5)
    await quiet(stack)
    table.put(count, "memory", stack.pss() / 2**20, "MiB PSS", Promise.LINEAR)
    people = [account(n * count // VISITED) for n in range(VISITED)]

    async def login(n: int) -> None:
        session = await Imap.login(stack, people[n % VISITED])
        await session("SELECT INBOX")
        await session.logout()

    for n in range(VISITED):
        await login(n)
    await table.time(count, "login and SELECT", stack, login, TIMES, Promise.FLAT)
    sender = await Smtp.connect(stack)

    async def deliver(n: int) -> None:
        await sender.send(account(n * 7919 % count), small(n))

    async def deliver_to_one(n: int) -> None:
        await sender.send(account(0), small(n))

    await table.time(count, "delivery to one account", stack, deliver_to_one, TIMES, Promise.FLAT)
    await table.time(count, "delivery to changing accounts", stack, deliver, TIMES, Promise.FLAT)
    await sender.quit()
