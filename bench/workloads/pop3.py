"""POP3: a device that downloads everything, and one that only looks."""

import time

from bench.client import Pop3, dotted
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, in_parallel, workload
from bench.workloads.listing import filled

DROP = account(60)
SIZE = 1000


@workload("pop3-download", "POP3 login, UIDL, RETR of 1,000, QUIT, TLS", "message", goal=45)
async def download(stack: Stack, meter: Meter) -> None:
    await filled(stack, DROP, SIZE)
    octets = sum(map(len, corpus(SIZE)))
    meter.begin()
    for _ in range(3):
        session = await Pop3.login(stack, DROP)
        await session.wire.ask(b"UIDL\r\n", dotted)
        got = 0
        for i in range(1, SIZE + 1):
            got += len(await session.wire.ask(b"RETR %d\r\n" % i, dotted))
        if got < octets:
            raise RuntimeError(f"{stack.name} sent too little")
        await session.quit()
    meter.end(3 * SIZE)


@workload("pop3-look", "POP3 login + quit, TLS", "login", goal=800)
async def look(stack: Stack, meter: Meter) -> None:
    await filled(stack, DROP, SIZE)

    async def once(i: int) -> None:
        start = time.perf_counter()
        session = await Pop3.login(stack, account(i % 20))
        await session.quit()
        meter.latencies.append(time.perf_counter() - start)

    for n in range(20):  # the first password check of an account is slow on purpose, and cached afterwards
        await once(n)
    meter.latencies.clear()
    meter.begin()
    await in_parallel(10, (lambda i=i: once(i) for i in range(1000)))  # type: ignore[misc]
    meter.end(1000)
