"""Guard: while a backup is made, segments stay where they are.

A lock of the kernel on a file in the data directory: whoever makes a backup shares it, compaction wants it alone before a
file goes. So it works between processes, and a backup that is killed leaves nothing behind.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD_FILE = "backup.lock"


@contextmanager
def keep_segments(directory: Path) -> Iterator[None]:
    """No segment of this data directory goes while the block runs. Raises OSError."""
    with _opened(directory) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def may_remove(directory: Path) -> Iterator[bool]:
    """Whether segments may go while the block runs: nobody makes a backup, nor begins to. Raises OSError."""
    with _opened(directory) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    file = os.open(directory / GUARD_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:  # root made the backup; the server, as its own user, must be able to lock it, too
            owner = directory.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
        yield file
    finally:
        os.close(file)
