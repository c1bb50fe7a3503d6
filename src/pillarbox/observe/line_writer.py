"""LineWriter: the log's lines are written by a thread of its own, so that a slow disk or terminal holds up nobody's mail.

What is waiting to be written when the process is killed is lost: lines of the last moment. An orderly end writes them all.
"""

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

ROOM = 10_000
"""Lines that wait at most: a disk that stands still must not fill the memory. Later ones are counted, and said to be lost."""

PAUSE = 0.02
"""Seconds between two writes: what is said within them goes out together, and a terminal seems to answer at once."""

LAST_WAIT = 2.0
"""Seconds that the end of the process waits for a write that hangs."""


class LineWriter:
    """Takes whole lines without their end and never waits or raises. `confess(n)` makes the line that says that n were lost."""

    def __init__(self, stream: TextIO, confess: Callable[[int], str]) -> None:
        self._stream, self._confess = stream, confess
        self._lines: deque[str] = deque()
        self._lost = 0
        self._something = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Have a line written soon, from any thread."""
        if len(self._lines) >= ROOM:
            self._lost += 1
            return
        self._lines.append(line)
        if not self._something.is_set():
            self._something.set()
            if self._thread is None:
                self._start()

    debug = info = warning = error = critical = write  # by these names structlog calls whoever writes

    def drain(self) -> None:
        """Write all that waits, now; what the stream does not take is counted as lost. Gives up after LAST_WAIT seconds."""
        if not self._writing.acquire(timeout=LAST_WAIT):
            return
        try:
            self._write_waiting()
        finally:
            self._writing.release()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.drain)

    def _run(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            with self._writing:
                self._write_waiting()
            time.sleep(PAUSE)

    def _write_waiting(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        lost = self._lost
        if not lines:
            return
        if lost:
            lines.insert(0, self._confess(lost))
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: it is closed. A full disk under the log must not stop the mail
            self._lost += len(lines) - bool(lost)
        else:
            self._lost -= lost
