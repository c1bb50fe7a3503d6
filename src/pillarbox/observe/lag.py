"""Lag of the event loop: how much later than asked for a timer fires, which is what every connection waits at least."""

import asyncio
import time
from collections.abc import Callable

PERIOD = 0.25
"""Seconds between two looks: four cheap timers a second."""

LIMIT = 0.1
"""Seconds of lag that people notice."""

PAUSE = 10.0
"""Seconds between two lines, so that a machine in trouble does not have to write about it all the time."""


class LagGauge:
    """Measures while `run` runs. `worst` is the greatest lag ever seen, in seconds.

    `tell("loop_late", ...)` says the greatest lag since the last line, how often it was above the limit, and what the loop
    itself computed meanwhile: when that is much less than the lag, the machine was busy with something else.
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
        self.worst = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began, computed = self._clock(), self._processor_time()
            await asyncio.sleep(PERIOD)
            self.note(self._clock() - began - PERIOD, self._processor_time() - computed)

    def note(self, lag: float, computed: float) -> None:
        """One measurement: the lag, and processor time of the loop's thread in the whole period, both in seconds."""
        self.worst = max(self.worst, lag)
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
