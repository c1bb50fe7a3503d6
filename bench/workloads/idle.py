"""Idle connections: what they weigh, and how soon one hears of new mail, alone and among thousands."""

import asyncio
import time

from bench.client import Imap, Smtp
from bench.corpus import corpus
from bench.idlers import crowd, open_idle
from bench.stack import Stack, account
from bench.workload import Meter, in_parallel, workload

MESSAGES = 100
ACCOUNTS = 201
"""Of a fresh server: fifty connections each when there are 10,000, and one account that has but one."""

QUIET = 5.0


async def pushes(stack: Stack, meter: Meter, session: Imap, address: str) -> None:
    """Deliver messages one by one to an account; latency is from the sender's first octet to * EXISTS."""
    sender = await Smtp.connect(stack)
    mail = corpus(MESSAGES)
    meter.begin()
    for i in range(MESSAGES):
        heard = session.wire.ask(b"", lambda buffer: b" EXISTS\r\n" in buffer)
        start = time.perf_counter()
        await sender.send(address, mail[i])
        async with asyncio.timeout(30):
            await heard
        meter.latencies.append(time.perf_counter() - start)
    meter.end(MESSAGES)
    await sender.quit()


@workload("push", "delivery to * EXISTS on an idle connection", "message")
async def push(stack: Stack, meter: Meter) -> None:
    session = await open_idle(stack, account(99))
    await pushes(stack, meter, session, account(99))
    session.wire.close()


async def _visit(stack: Stack, address: str) -> None:
    session = await Imap.login(stack, address)
    await session("SELECT INBOX")
    await session.logout()


async def idle(stack: Stack, meter: Meter, count: int) -> None:
    """So many idle connections: their memory, then pushes to one more.

    Each account was visited once before, so that what is weighed is connections, not accounts and first passwords.
    """
    await in_parallel(4, (lambda n=n: _visit(stack, account(n)) for n in range(ACCOUNTS)))  # type: ignore[misc]
    session = await open_idle(stack, account(ACCOUNTS - 1))
    before = stack.pss()
    start = time.perf_counter()
    with crowd(stack, ACCOUNTS - 1, count) as there:
        meter.extra["connections"] = there.open
        meter.extra["opened per s"] = there.open / (time.perf_counter() - start)
        if there.problem:
            print(f"  {stack.name}: {there.open} of {count} connections: {there.problem}", flush=True)
        await asyncio.sleep(1)
        quiet = stack.cpu()
        await asyncio.sleep(QUIET)
        meter.extra["% of a CPU while nothing happens"] = (stack.cpu() - quiet) / QUIET * 100
        meter.extra["KB per connection"] = (stack.pss() - before) / max(there.open, 1) / 1024
        await pushes(stack, meter, session, account(ACCOUNTS - 1))
    session.wire.close()


@workload("idle-1000", "the same among 1,000 idle TLS connections", "message", accounts=ACCOUNTS)
async def thousand(stack: Stack, meter: Meter) -> None:
    await idle(stack, meter, 1000)


@workload("idle-10000", "the same among 10,000", "message", accounts=ACCOUNTS, rounds=1)
async def ten_thousand(stack: Stack, meter: Meter) -> None:
    await idle(stack, meter, 10_000)
