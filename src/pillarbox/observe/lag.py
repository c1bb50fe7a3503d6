"""Lag of the event loop: how much later than asked for a timer fires, which is what every connection waits at least."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable

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


class LagGauge:
    """Measures while `run` runs. `worst` is the greatest lag ever seen, in seconds; `percentile` and `lags` know the others.

    `tell("loop_late", ...)` says the greatest lag since the last line, how often it was above the limit, and what the loop
    itself computed meanwhile: when that is much less than the lag, the machine was busy with something else. At the end
    `tell("loop_lag", ...)` sums up.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        *,
        clock: Callable[[], float] = time.monotonic,
        processor_time: Callable[[], float] = time.thread_time,
    ) -> None:
        self._tell = tell
        self._clock, self._processor_time = clock, processor_time
        self._last_line = -PAUSE
        self._late = 0
        self._greatest = self._computed = 0.0
        self._classes: Counter[int] = Counter()
        self.worst = 0.0
        self.lags = Durations()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                began, computed = self._clock(), self._processor_time()
                await asyncio.sleep(PERIOD)
                self.note(self._clock() - began - PERIOD, self._processor_time() - computed)
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

    def note(self, lag: float, computed: float) -> None:
        """One measurement: the lag, and processor time of the loop's thread in the whole period, both in seconds."""
        self.worst = max(self.worst, lag)
        self.lags.note(max(lag, 0.0))
        self._classes[max(0, math.ceil(math.log(max(lag, _FINEST) / _FINEST, _STEP)))] += 1
        if lag > LIMIT:
            self._late += 1
            if lag > self._greatest:
                self._greatest, self._computed = lag, computed
        now = self._clock()
        if self._late and now - self._last_line >= PAUSE:
            self._tell("loop_late", lag=round(self._greatest, 3), computed=round(self._computed, 3), times=self._late)
            self._last_line = now
            self._late = 0
            self._greatest = 0.0
