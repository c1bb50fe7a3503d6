"""Starts the real server for tests that kill it or take the ground from under it. Nothing in the server knows.

Usage: launcher.py CONFIG FAULTS [LABEL WHEN NUMBER]. With a label of `points` the process kills itself with SIGKILL at the
NUMBER-th call of it, WHEN "before" or "after" it has happened, and writes down that it did. FAULTS is a directory: while a
file of a fault's name lies there, calls fail.
"""

import errno
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import apsw
from tests.crash import clock
from tests.crash.bystander import watch_the_loop
from tests.crash.mutations import MUTATIONS
from tests.crash.points import CALLS, STATEMENTS, of_caller
from tests.crash.recording import Recorder
from tests.crash.tape import Tape

from pillarbox.store.embedded import compaction, incoming, placements, schema, sweeper, views, writer

FIRED = "fired.txt"
"""In the folder of faults: "LABEL WHEN", a line for each death."""

SMALL_ALONE = 30_000
"""Octets from which on a message gets a segment of its own here."""


class Faults:
    """What is the matter just now, read from the directory so that tests can change it while the server runs."""

    def __init__(self, folder: Path) -> None:
        self._names = {
            name: str(folder / name)
            for name in (
                "full",
                "filling",
                "full-index",
                "broken-write",
                "read-only",
                "broken-read",
                "clock",
                "mutation",
                "recorded",
                "watched",
            )
        }

    def present(self, name: str) -> bool:
        """Whether this fault is there."""
        return os.access(self._names[name], os.F_OK)

    def text(self, name: str) -> str:
        """What the file of a fault that is there says."""
        return Path(self._names[name]).read_text()

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
        return float(self.text("clock")) if self.present("clock") else 0.0


class Death:
    """Kills this process at one call of one label."""

    def __init__(self, label: str, when: str, number: int, folder: Path) -> None:
        self._label, self._when, self._left = label, when, number
        self._call = label.rpartition(":")[2]
        self._fired = folder / FIRED

    def around(self, call: str, make: Callable[[], Any]) -> Any:
        """Make the call, unless this is the one."""
        ours = call == self._call and self._left > 0 and of_caller(call) == self._label
        if ours:
            self._left -= 1
            if self._left == 0 and self._when == "before":
                self._die()
        try:
            return make()
        finally:  # also when it failed: nothing to unlink
            if ours and self._left == 0:
                self._die()

    def _die(self) -> None:
        with self._fired.open("a") as file:
            file.write(f"{self._label} {self._when}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def deaths(folder: Path) -> list[tuple[str, str]]:
    """The points at which processes died, in order: label, when."""
    lines = (folder / FIRED).read_text().splitlines() if (folder / FIRED).exists() else []
    return [(label, when) for label, when in map(str.split, lines)]


def wrap_files(death: Death, faults: Faults) -> None:
    """Put both around what writes and reads segments."""

    def wrapped(name: str, refuse: Callable[[], None] | None, module: ModuleType = os) -> None:
        original = getattr(module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if refuse is not None:
                refuse()
            return death.around(name, lambda: original(*arguments, **named))

        setattr(module, name, call)

    writing = {"pwrite", "pwritev", "fdatasync", "fsync"}
    for name in sorted(CALLS & set(dir(os))):
        wrapped(name, faults.refuse_writing if name in writing else None)
    for name in sorted(CALLS & set(dir(shutil))):
        wrapped(name, None, shutil)
    for name in ("pread", "preadv"):
        wrapped(name, faults.refuse_reading)
    fill_up(faults)


def fill_up(faults: Faults) -> None:
    """While the disk is filling, there is room for half of what is written to a segment."""
    pwrite, pwritev = os.pwrite, os.pwritev

    def short(file: int, buffers: list[bytes], offset: int) -> int:
        if not faults.present("filling"):
            return pwritev(file, buffers, offset)
        octets = b"".join(buffers)
        return pwritev(file, [octets[: len(octets) // 2]], offset)

    def no_room(file: int, octets: bytes, offset: int) -> int:
        if faults.present("filling") and of_caller("pwrite") != "segments.create:pwrite":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, octets, offset)

    os.pwrite, os.pwritev = no_room, short  # type: ignore[assignment]


def wrap_index(death: Death, faults: Faults) -> None:
    """The same for the index: statements instead of calls."""
    real = apsw.Connection

    class Connection(real):
        def execute(self, statement: str, *arguments: Any, **named: Any) -> Any:
            word = statement.split(None, 1)[0]
            if word == "COMMIT":
                if faults.present("full") or faults.present("full-index"):
                    raise apsw.FullError("database or disk is full")
                if faults.present("broken-write"):
                    raise apsw.IOError("disk I/O error")
                if faults.present("read-only"):
                    raise apsw.ReadOnlyError("attempt to write a readonly database")
            if word not in STATEMENTS:
                return real.execute(self, statement, *arguments, **named)
            return death.around(word, lambda: real.execute(self, statement, *arguments, **named))

    apsw.Connection = Connection  # type: ignore[misc]


def hasten() -> None:
    """What a store does now and then it does all the time: new segments, compaction, packing of states, segments for one
    message alone, checkpoints, copies of the index."""
    writer.SEGMENT_SIZE = 300_000
    incoming.ALONE = incoming._IN_THREAD = SMALL_ALONE
    schema._CHECKPOINT_PAGES = 100
    sweeper._PAUSE = 0.0
    views._SMALL = 20
    compaction._LIVE_SHARE = 0.9
    placements.EVERY, placements.SHARE = 0.2, 1


def main(config: str, folder: str, label: str = "", when: str = "", number: str = "0") -> None:
    """Start it."""
    death, faults = Death(label, when, int(number), Path(folder)), Faults(Path(folder))
    if faults.present("recorded"):  # it says of which folder everything that is done to it is put down
        recorder = Recorder(Path(faults.text("recorded")), keep=Tape(Path(folder)).keep)
        recorder.install(setattr)
    wrap_files(death, faults)
    wrap_index(death, faults)
    clock.wrong_by(faults.jump)
    hasten()
    if faults.present("watched"):
        watch_the_loop(Path(folder))
    if faults.present("mutation"):
        MUTATIONS[faults.text("mutation")]()
    sys.argv = ["pillarbox", "serve", "--config", config]
    runpy.run_module("pillarbox", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
