"""Messages that wait in the queue, because their servers do not answer: new mail passes them by."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from bench.client import Submission
from bench.corpus import small
from bench.growth.curve import Promise, Table
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from bench.workload import quiet
from bench.workloads.relay import Sink, running_sink
from pillarbox.store.api import Relay
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

DOMAINS = 200
AT_ONCE = 500
TIMES = 50
WATCH = 5.0
SENDER = account(0)


def _from_us(message: bytes) -> bytes:
    """Users write as themselves only."""
    return b"From: <%s>\r\n" % SENDER.encode() + message.partition(b"\r\n")[2]


def waiting(count: int) -> Callable[[EmbeddedStore], Awaitable[None]]:
    """Put so many messages into the queue, each tried once, to be tried again in an hour or more."""

    async def fill(store: EmbeddedStore) -> None:
        owner = await store.directory.account(SENDER)
        assert owner is not None
        rng = random.Random(count)
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(
                *(
                    store.accept(
                        Spool.of(small(n)),
                        [],
                        Relay(f"Q{n}", SENDER, [(f"x{n}@dead{n % DOMAINS}.example", {})], owner.id),
                    )
                    for n in range(start, min(start + AT_ONCE, count))
                )
            )
        while entries := await store.queue.due(time.time(), AT_ONCE):
            later = time.time() + 3600
            await asyncio.gather(
                *(
                    store.queue.update(
                        entry.id,
                        [
                            replace(r, attempts=1, next_attempt=later + rng.uniform(0, 3600), last_reply="no answer")
                            for r in entry.recipients
                        ],
                    )
                    for entry in entries
                )
            )

    return fill


async def run(table: Table, folder: Path, sizes: list[int]) -> None:
    """One fresh server for each length."""
    for count in sizes:
        stack = Pillarbox(folder / f"queue{count}", 1, prepare=waiting(count))
        await asyncio.to_thread(stack.start)
        try:
            with running_sink(stack.relay_port) as sink:
                await _measure(table, stack, count, sink)
        finally:
            await asyncio.to_thread(stack.stop)


async def _measure(table: Table, stack: Pillarbox, count: int, sink: Sink) -> None:
    table.put(count, "start until ports answer", stack.start_seconds, "s", Promise.FLAT, floor=1.5)
    await quiet(stack)
    table.put(count, "memory", stack.pss() / 2**20, "MiB PSS", Promise.LINEAR)
    used = stack.cpu()
    await asyncio.sleep(WATCH)
    share = (stack.cpu() - used) / WATCH * 100
    table.put(count, "nothing happens", share, "% of a CPU", Promise.FLAT, floor=1.0)
    session = await Submission.login(stack, SENDER)
    sent = sink.taken()

    async def send(n: int) -> None:
        nonlocal sent
        await session.send(f"friend{n}@works.example", _from_us(small(n)))
        sent += 1
        while sink.taken() < sent:
            await asyncio.sleep(0.001)

    await table.time(count, "submission, until the other server has it", stack, send, TIMES, Promise.FLAT)
    await session.quit()
