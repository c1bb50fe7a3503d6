"""Idle connections: what they weigh, and how soon they hear of new mail."""

import asyncio
import time

from bench.client import Imap, Smtp
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, workload

CONNECTIONS = 1000
"""Also leaves Dovecot without inotify instances on many systems, so that this row comes last."""


@workload("push", "delivery to * EXISTS on an idle connection", "message")
async def push(stack: Stack, meter: Meter) -> None:
    session = await Imap.login(stack, account(99))
    await session("SELECT INBOX")
    await session.wire.ask(b"i IDLE\r\n", lambda buffer: buffer.startswith(b"+"))
    sender = await Smtp.connect(stack)
    mail = corpus(100)
    meter.begin()
    for i in range(100):
        heard = session.wire.ask(b"", lambda buffer: b" EXISTS\r\n" in buffer)
        start = time.perf_counter()
        await sender.send(account(99), mail[i])
        async with asyncio.timeout(30):
            await heard
        meter.latencies.append(time.perf_counter() - start)
    meter.end(100)
    await sender.quit()
    session.wire.close()


@workload("idle-memory", "idle IMAP connections, TLS: memory", "connection")
async def memory(stack: Stack, meter: Meter) -> None:
    before = stack.pss()
    sessions = []
    for n in range(CONNECTIONS):
        session = await Imap.login(stack, account(n % 20))
        await session("SELECT INBOX")
        session.wire.ask(b"i IDLE\r\n", lambda _buffer: False).add_done_callback(lambda future: future.exception())
        sessions.append(session)
    await asyncio.sleep(0.5)
    meter.extra["KB per connection"] = (stack.pss() - before) / CONNECTIONS / 1024
    meter.begin()
    await asyncio.sleep(1)
    meter.end(CONNECTIONS)
    for session in sessions:
        session.wire.close()
