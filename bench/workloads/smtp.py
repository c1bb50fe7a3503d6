"""Mail that arrives: counted until every message is in its mailbox."""

import asyncio
import time

from bench.client import Imap, Smtp
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, in_parallel, settle, workload

CONNECTIONS = 20
MESSAGES = 2000


async def _total(stack: Stack) -> int:
    total = 0
    for n in range(CONNECTIONS):
        session = await Imap.login(stack, account(n))
        answer = await session("STATUS INBOX (MESSAGES)")
        total += int(answer.split(b"MESSAGES ")[1].split(b")")[0])
        await session.logout()
    return total


@workload("smtp-reused", "SMTP to mailbox, durable, 20 connections reused", "message", goal=330)
async def reused(stack: Stack, meter: Meter) -> None:
    mail = corpus(MESSAGES)
    before = await _total(stack)
    sessions = [await Smtp.connect(stack) for _ in range(CONNECTIONS)]

    async def deliver(n: int) -> None:
        for i in range(n, MESSAGES, CONNECTIONS):
            start = time.perf_counter()
            await sessions[n].send(account(n), mail[i])
            meter.latencies.append(time.perf_counter() - start)

    meter.begin()
    await asyncio.gather(*(deliver(n) for n in range(CONNECTIONS)))
    await settle(stack)
    meter.end(MESSAGES)
    for session in sessions:
        await session.quit()
    if await _total(stack) - before != MESSAGES:
        raise RuntimeError(f"{stack.name} lost mail")


@workload("smtp-each", "SMTP to mailbox, one message per connection", "message", goal=500)
async def each(stack: Stack, meter: Meter) -> None:
    mail = corpus(MESSAGES)

    async def deliver(i: int) -> None:
        start = time.perf_counter()
        session = await Smtp.connect(stack)
        await session.send(account(i % CONNECTIONS), mail[i])
        await session.quit()
        meter.latencies.append(time.perf_counter() - start)

    meter.begin()
    await in_parallel(CONNECTIONS, (lambda i=i: deliver(i) for i in range(MESSAGES)))  # type: ignore[misc]
    await settle(stack)
    meter.end(MESSAGES)
