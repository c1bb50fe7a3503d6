"""Whether file descriptors have run out. uvloop turns newcomers away without a word then, so that somebody has to look."""

import asyncio
import errno
import os
from collections.abc import Callable

PERIOD = 1.0
"""Seconds between two looks: one cheap system call each."""

PAUSE = 10
"""Looks between two lines while it lasts."""

ADVICE = "allow more open files (LimitNOFILE=), or lower `limits.connections`"


class DescriptorGauge:
    """Looks while `run` runs; `tell("out_of_descriptors", advice=...)` at once, and then now and then. `seen`: in
    how many looks there was none, since the start."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._times = 0
        self.seen = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(PERIOD)

    def look(self) -> None:
        """One look: is there another one to be had?"""
        try:
            os.close(os.dup(2))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                if self._times % PAUSE == 0:
                    self._tell("out_of_descriptors", advice=ADVICE)
                self._times += 1
                self.seen += 1
        else:
            self._times = 0
