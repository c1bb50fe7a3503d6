"""Mail that leaves: users submit it, the queue hands it to Postfix's smtp-sink; counted until the sink has all of it."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import Submission
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, settle, workload

SENDERS = 20
MESSAGES = 2000
DOMAINS = 50
PATIENCE = 120


class Sink:
    """A running smtp-sink; it throws mail away and counts it."""

    def __init__(self, counters: Path) -> None:
        self._counters = counters

    def taken(self) -> int:
        """Messages that it said 250 to."""
        with self._counters.open("rb") as file:
            file.seek(max(0, self._counters.stat().st_size - 200))
            found = re.findall(rb"mesg=(\d+)", file.read())
        return int(found[-1]) if found else 0

    async def wait_for(self, count: int) -> None:
        """Until it has so many. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while self.taken() < count:
                await asyncio.sleep(0.01)


@contextmanager
def running_sink(port: int) -> Iterator[Sink]:
    """One on this port of loopback."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "smtp-sink"
    with tempfile.NamedTemporaryFile() as counters:
        process = subprocess.Popen(
            [program, "-c", *(["-u", "nobody"] if os.geteuid() == 0 else []), f"127.0.0.1:{port}", "1000"],
            stdout=counters,
        )
        try:
            yield Sink(Path(counters.name))
        finally:
            process.terminate()
            process.wait()


def outgoing(number: int, sender: str) -> bytes:
    """Message `number` of the corpus, from one of our own users."""
    return re.sub(rb"^From: [^\r]*", b"From: <%s>" % sender.encode(), corpus(MESSAGES)[number], count=1, flags=re.M)


async def submit(stack: Stack, meter: Meter, count: int) -> None:
    """So many messages to many domains, by 20 users at once, on connections that they keep."""
    sessions = [await Submission.login(stack, account(n)) for n in range(SENDERS)]
    mail = [outgoing(i % MESSAGES, account(i % SENDERS)) for i in range(count)]

    async def send(n: int) -> None:
        for i in range(n, count, SENDERS):
            start = time.perf_counter()
            await sessions[n].send(f"friend{i}@place{i % DOMAINS}.example", mail[i])
            meter.latencies.append(time.perf_counter() - start)

    meter.begin()
    await asyncio.gather(*(send(n) for n in range(SENDERS)))
    for session in sessions:
        await session.quit()


@workload("relay", "submission (TLS, logged in) to queue to smtp-sink, durable", "message")
async def relay(stack: Stack, meter: Meter) -> None:
    with running_sink(stack.relay_port) as sink:
        await submit(stack, meter, MESSAGES)
        submitted = time.perf_counter()
        await sink.wait_for(MESSAGES)
        await settle(stack)
        meter.end(MESSAGES)
        meter.extra["s from the last 250 to the sink's last"] = time.perf_counter() - submitted
        if sink.taken() != MESSAGES:
            raise RuntimeError(f"{stack.name} relayed {sink.taken()} of {MESSAGES}")
