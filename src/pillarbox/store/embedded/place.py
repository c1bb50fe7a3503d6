"""The data directory: private to its owner, and used by one process at a time."""

import fcntl
import os
from pathlib import Path

from pillarbox.store.api import StoreError
from pillarbox.store.embedded.schema import INDEX_FILE

SEGMENTS = "segments"
INCOMING = "incoming"  # spools that are too large for memory

LOCK_FILE = "lock"


class Place:
    """A data directory that this process holds until `release`. Folders are 0700, files 0600."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.segments = directory / SEGMENTS
        self.incoming = directory / INCOMING
        self._lock = lock

    @classmethod
    def take(cls, directory: Path) -> "Place":
        """Create what is missing and lock it. Raises StoreError when another process has it, OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StoreError(
                f"the store in {directory} is in use by process {holder}: stop it first, or let it do the work"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        place = cls(directory, lock)
        for folder in (place.segments, place.incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(directory / INDEX_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_to_root(directory)
        return place

    def release(self) -> None:
        """Let others use it."""
        os.close(self._lock)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_to_root(folder: Path) -> None:
    """Make the names in a folder durable, its own, and those of the folders above it: whoever made them may have been killed
    before they were. Ends where a file system does, or at a folder that is somebody else's: that was there before us."""
    folder = folder.resolve()
    sync_folder(folder)
    for lower in (folder, *folder.parents):
        if os.path.ismount(lower):
            return
        try:
            sync_folder(lower.parent)
        except PermissionError:
            return
