"""A process that does nothing but look at the clock, beside a server whose event loop must not be late.

When both were late at the same time it was the machine that stood still, for whatever reason: no processor for either, or a
virtual machine that was not given its own. When the loop alone was late, the stacks of the server's threads at that moment
say what it did; they are taken without the interpreter's lock, so whoever holds it is seen.
"""

import asyncio
import faulthandler
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pillarbox.observe.lag import LIMIT, LagGauge

PERIOD = 0.05
"""Seconds between two looks."""

STACKS = "late-stacks.txt"
"""In the folder of faults."""


def main() -> None:
    """The process: a line for each time that it came late by half of what the loop may: when (by the wall), seconds."""
    while True:
        began = time.monotonic()
        time.sleep(PERIOD)
        late = time.monotonic() - began - PERIOD
        if late > LIMIT / 2:
            print(time.time(), late, flush=True)


class Bystander:
    """Runs beside the block of a `with`."""

    def __init__(self, folder: Path) -> None:
        self._lines = folder / "bystander.txt"

    def __enter__(self) -> Self:
        with self._lines.open("w") as file:
            self._process = subprocess.Popen([sys.executable, "-m", "tests.crash.bystander"], stdout=file)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _it: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def worst(self, since: float, until: float) -> float:
        """How late it came at most between two moments of the wall's clock; seconds."""
        lines = [tuple(map(float, line.split())) for line in self._lines.read_text().splitlines()]
        return max((late for moment, late in lines if since <= moment <= until), default=0.0)


def watch_the_loop(folder: Path) -> None:
    """From now on the stacks of all threads are written down whenever this process's event loop is late."""
    measure = LagGauge.run

    async def run(gauge: LagGauge) -> None:
        with (folder / STACKS).open("a") as file:
            ticking = asyncio.create_task(_tick(file.fileno()))
            try:
                await measure(gauge)
            finally:
                ticking.cancel()
                faulthandler.cancel_dump_traceback_later()

    LagGauge.run = run  # type: ignore[method-assign]


async def _tick(file: int) -> None:
    while True:
        faulthandler.dump_traceback_later(PERIOD + LIMIT, file=file)
        await asyncio.sleep(PERIOD)


if __name__ == "__main__":
    main()
