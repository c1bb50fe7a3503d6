"""Many idle IMAP connections, held by processes of their own so that neither descriptors nor CPU of the bench run out.

`python -m bench.idlers PORT CA ACCOUNTS FIRST COUNT` opens COUNT connections (TLS, logged in, INBOX selected, IDLE), says
after each fifty how many there are, stops at the first failure and says why, and holds them until its input ends.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from bench.client import Imap
from bench.stack import Stack, account

PER_PROCESS = 5000
AT_ONCE = 10
RESERVE = 1 << 30
"""Octets of memory that stay free: whoever fills the machine measures swapping."""

PATIENCE = 600.0


def _available() -> int:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


async def open_idle(stack: Stack, address: str) -> Imap:
    """One connection in IDLE."""
    session = await Imap.login(stack, address)
    await session("SELECT INBOX")
    await session.wire.ask(b"i IDLE\r\n", lambda buffer: b"+ " in buffer)
    return session


async def _hold(stack: Stack, accounts: int, first: int, count: int) -> None:
    sessions: list[Imap] = []
    numbers = iter(range(first, first + count))
    problem = ""

    async def work() -> None:
        nonlocal problem
        for number in numbers:
            if problem:
                return
            if _available() < RESERVE:
                problem = "the machine's memory is used up"
                return
            try:
                async with asyncio.timeout(60):
                    sessions.append(await open_idle(stack, account(number % accounts)))
            except Exception as error:
                problem = problem or f"{type(error).__name__}: {str(error)[:200]}"
            if len(sessions) % 50 == 0:
                print(json.dumps({"open": len(sessions)}), flush=True)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    print(json.dumps({"open": len(sessions), "done": True, "problem": problem}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


class Crowd:
    """Connections that are open, and why there are not more."""

    def __init__(self) -> None:
        self.open = 0
        self.problem = ""

    def hear(self, output: IO[str]) -> None:
        """Wait until one process has opened its share."""
        for line in output:
            said = json.loads(line)
            if said.get("done"):
                self.open += said["open"]
                self.problem = self.problem or said["problem"]
                return
        self.problem = self.problem or "a client process ended"


@contextmanager
def crowd(stack: Stack, accounts: int, count: int) -> Iterator[Crowd]:
    """So many idle connections to the first accounts, in turn; fewer when something gives way."""
    there = Crowd()
    with ExitStack() as until_the_end:
        hearers = []
        for first in range(0, count, PER_PROCESS):
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.idlers", str(stack.ports["imaps"]), str(stack.ca), str(accounts),
                 str(first), str(min(PER_PROCESS, count - first))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
            until_the_end.enter_context(process)  # closes its input, which ends it, and waits
            assert process.stdout is not None
            hearers.append(threading.Thread(target=there.hear, args=(process.stdout,), daemon=True))
            hearers[-1].start()
        for hearer in hearers:
            hearer.join(PATIENCE)
        yield there


def main() -> None:
    """The command."""
    port, ca, accounts, first, count = sys.argv[1:]
    stack = Stack()
    stack.ports, stack.ca = {"imaps": int(port)}, Path(ca)
    work = _hold(stack, int(accounts), int(first), int(count))
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)


if __name__ == "__main__":
    main()
