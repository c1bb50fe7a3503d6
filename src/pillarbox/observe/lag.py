"""Lag of the event loop: how much later than asked for a timer fires, which is what every connection waits at least."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pillarbox.store.durations import Durations

PERIOD = 0.25
"""Seconds between two looks: four cheap timers a second."""

LIMIT = 0.1
"""Seconds of lag that people notice."""

PAUSE = 10.0
"""Seconds between two lines, so that a machine in trouble does not have to write about it all the time."""

_FINEST = 1e-4
"""Seconds: shorter lags are counted as this."""

_STEP = 1.2
"""Lags are counted in classes, each so many times as wide as the one below: a percentile is at most a fifth too high."""


_SCHEDULER = Path("/proc/thread-self/schedstat")
"""Linux: nanoseconds on a processor, nanoseconds ready without one, turns."""


def waiting_time() -> float:
    """Seconds in which this thread was ready to go on and got no processor; always 0 where the system does not tell."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class LagGauge:
    """Measures while `run` runs. `worst` is the greatest lag ever seen, in seconds; `percentile` and `lags` know the others.

    `tell("loop_late", ...)` says the greatest lag since the last line, how often it was above the limit, and of that period how
    long the loop's thread computed, and how long it waited for a processor because the machine was busy with something else.
    At the end `tell("loop_lag", ...)` sums up.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        *,
        clock: Callable[[], float] = time.monotonic,
        processor_time: Callable[[], float] = time.thread_time,
        waiting_time: Callable[[], float] = waiting_time,
    ) -> None:
        self._tell = tell
        self._clock, self._processor_time, self._waiting_time = clock, processor_time, waiting_time
        self._last_line = -PAUSE
        self._late = 0
        self._greatest = self._computed = self._waited = 0.0
        self._classes: Counter[int] = Counter()
        self.worst = 0.0
        self.lags = Durations()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                began, computed, waited = self._clock(), self._processor_time(), self._waiting_time()
                await asyncio.sleep(PERIOD)
                self.note(
                    self._clock() - began - PERIOD, self._processor_time() - computed, self._waiting_time() - waited
                )
        finally:
            if self._classes:
                facts = {"p50": self.percentile(50), "p99": self.percentile(99), "worst": self.worst}
                self._tell("loop_lag", **{name: round(value, 4) for name, value in facts.items()})

    def percentile(self, which: float) -> float:
        """Seconds of lag that so many in a hundred measurements did not exceed; 0 when there are none."""
        left = self._classes.total() * which / 100
        for number in sorted(self._classes):
            left -= self._classes[number]
            if left <= 0:
                return min(_FINEST * _STEP**number, self.worst)
        return 0.0

    def note(self, lag: float, computed: float, waited: float = 0.0) -> None:
        """One measurement, in seconds: the lag, and what the loop's thread computed and waited in the whole period."""
        self.worst = max(self.worst, lag)
        self.lags.note(max(lag, 0.0))
        self._classes[max(0, math.ceil(math.log(max(lag, _FINEST) / _FINEST, _STEP)))] += 1
        if lag > LIMIT:
            self._late += 1
            if lag > self._greatest:
                self._greatest, self._computed, self._waited = lag, computed, waited
        now = self._clock()
        if self._late and now - self._last_line >= PAUSE:
            facts = {"lag": self._greatest, "computed": self._computed, "waited": self._waited}
            self._tell("loop_late", **{name: round(value, 3) for name, value in facts.items()}, times=self._late)
            self._last_line = now
            self._late = 0
            self._greatest = 0.0
