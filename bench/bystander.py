"""Another person, who sends NOOP every few milliseconds while something large happens: how long do they wait?

`python -m bench.bystander PORT CA ADDRESS`, a process of its own, so that a busy client is not taken for a busy server. It
says "ready", asks until its input ends, and says the waits in milliseconds, as JSON.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import Imap
from bench.stack import Stack

PAUSE = 0.005


@contextmanager
def bystander(stack: Stack, address: str) -> Iterator[list[float]]:
    """While this is open somebody asks; afterwards the list holds the waits in milliseconds."""
    waits: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "bench.bystander", str(stack.ports["imaps"]), str(stack.ca), address],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the bystander could not log in")
        try:
            yield waits
        finally:
            process.stdin.close()
            waits += json.loads(process.stdout.readline())


async def _ask(stack: Stack, address: str) -> None:
    session = await Imap.login(stack, address)
    await session("SELECT INBOX")
    await session("NOOP")
    print("ready", flush=True)
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    waits = []
    while not over.done():
        start = time.perf_counter()
        await session("NOOP")
        waits.append(round((time.perf_counter() - start) * 1e3, 3))
        await asyncio.sleep(PAUSE)
    print(json.dumps(waits), flush=True)


if __name__ == "__main__":
    described = Stack()
    described.ports, described.ca = {"imaps": int(sys.argv[1])}, Path(sys.argv[2])
    asyncio.run(_ask(described, sys.argv[3]))
