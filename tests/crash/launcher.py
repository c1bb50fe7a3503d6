"""Starts the real server for tests that kill it or take the ground from under it. Nothing in the server knows.

Usage: launcher.py CONFIG FAULTS [POINT WHEN NUMBER]. With a point the process kills itself with SIGKILL at the NUMBER-th call
of it, WHEN "before" or "after" it has happened. FAULTS is a directory: while a file of a fault's name lies there, calls fail.
"""

import errno
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from pillarbox.store.embedded import compaction, sweeper, views, writer

POINTS = ("pwritev", "fdatasync", "fsync", "BEGIN", "COMMIT", "unlink")
"""The labelled points of the commit path; fsync is that of the folder of a new segment, unlink that of compaction."""


class Faults:
    """What is the matter just now, read from the directory so that tests can change it while the server runs."""

    def __init__(self, folder: Path) -> None:
        self._names = {
            name: str(folder / name) for name in ("full", "broken-write", "read-only", "broken-read", "clock")
        }

    def present(self, name: str) -> bool:
        """Whether this fault is there."""
        return os.access(self._names[name], os.F_OK)

    def refuse_writing(self) -> None:
        """Raises OSError while the disk is full or broken."""
        if self.present("full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.present("broken-write"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.present("read-only"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def refuse_reading(self) -> None:
        """Raises OSError while the disk cannot be read."""
        if self.present("broken-read"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def jump(self) -> float:
        """Seconds by which the clock is wrong."""
        return float(Path(self._names["clock"]).read_text()) if self.present("clock") else 0.0


class Death:
    """Kills this process at one call of one point."""

    def __init__(self, point: str, when: str, number: int) -> None:
        self._point, self._when, self._left = point, when, number

    def around(self, point: str, call: Callable[[], Any]) -> Any:
        """Do the call, unless this is the one."""
        ours = point == self._point
        if ours:
            self._left -= 1
        if ours and self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call()
        if ours and self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def wrap_files(death: Death, faults: Faults) -> None:
    """Put both around what writes and reads segments."""

    def wrapped(name: str, refuse: Callable[[], None] | None) -> None:
        original = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if refuse is not None:
                refuse()
            return death.around(name, lambda: original(*arguments, **named))

        setattr(os, name, call)

    for name in ("pwrite", "pwritev", "fdatasync", "fsync"):
        wrapped(name, faults.refuse_writing)
    for name in ("pread", "preadv"):
        wrapped(name, faults.refuse_reading)
    wrapped("unlink", None)


def wrap_index(death: Death, faults: Faults) -> None:
    """The same for the index: statements instead of calls."""
    real = apsw.Connection

    class Connection(real):
        def execute(self, statement: str, *arguments: Any, **named: Any) -> Any:
            word = statement.split(None, 1)[0]
            if word == "COMMIT":
                if faults.present("full"):
                    raise apsw.FullError("database or disk is full")
                if faults.present("broken-write"):
                    raise apsw.IOError("disk I/O error")
                if faults.present("read-only"):
                    raise apsw.ReadOnlyError("attempt to write a readonly database")
            return death.around(word, lambda: real.execute(self, statement, *arguments, **named))

    apsw.Connection = Connection  # type: ignore[misc]


def wrap_clock(faults: Faults) -> None:
    """The time of day, not the time that passes."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + faults.jump()
    time.time_ns = lambda: real_ns() + int(faults.jump() * 1e9)


def hasten() -> None:
    """What a store does now and then it does all the time: new segments, compaction, packing of states."""
    writer.SEGMENT_SIZE = 300_000
    sweeper._PAUSE = 0.0
    views._SMALL = 20
    compaction._LIVE_SHARE = 0.9


def main(config: str, folder: str, point: str = "", when: str = "", number: str = "0") -> None:
    """Start it."""
    death, faults = Death(point, when, int(number)), Faults(Path(folder))
    wrap_files(death, faults)
    wrap_index(death, faults)
    wrap_clock(faults)
    hasten()
    sys.argv = ["pillarbox", "serve", "--config", config]
    runpy.run_module("pillarbox", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
