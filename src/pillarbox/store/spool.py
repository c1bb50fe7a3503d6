"""Spool: a message's octets on their way in; in memory while small, in a temporary file when large."""

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

IN_MEMORY = 512 * 1024
"""Octets kept in memory before a spool moves to a file: most mail is smaller, and a hundred of these fit anywhere."""

IN_MEMORY_TOGETHER = 64 * 1024 * 1024
"""Octets that all spools of a store keep in memory; above, the next one that grows moves to its file."""

SHARE_OF_DISK = 0.5
"""Of what would be free without them, how much all files of spools may take: the rest stays for mail that is complete."""

_STEP = 8 * 1024 * 1024
"""Octets of files after which the disk is looked at again."""

_SMALL = 16 * 1024
"""A spool below this is never worth a file."""

_CHUNK = 256 * 1024

_CRUMB = 4096
"""Chunks below this are joined: a peer that sends octet by octet must not make us keep an object for each."""


class Budget:
    """What all spools of one store take together. `directory` is where their files are.

    Security: strangers decide how many messages they begin and never end.
    """

    __slots__ = ("_checked", "directory", "in_files", "in_memory", "most_in_memory")

    def __init__(self, directory: str | None = None, most_in_memory: int = IN_MEMORY_TOGETHER) -> None:
        self.directory = directory
        self.most_in_memory = most_in_memory
        self.in_memory = 0
        self.in_files = 0
        self._checked = 0

    def check_disk(self) -> None:
        """Now and then, as files grow. Raises OSError (ENOSPC) when they take too much of the disk."""
        if self.in_files < self._checked + _STEP:
            self._checked = min(self._checked, self.in_files)
            return
        disk = os.statvfs(self.directory or tempfile.gettempdir())
        if self.in_files > (disk.f_bavail * disk.f_frsize + self.in_files) * SHARE_OF_DISK:
            raise OSError(errno.ENOSPC, "messages that are not complete take too much of the disk")
        self._checked = self.in_files


class Spool:
    """Write-once octets. After the last `write` it can be read any number of times, until `discard`.

    `directory` is where a large one rests (None: the system's temporary folder); `budget` is shared by all of a store.
    """

    __slots__ = ("_budget", "_charged", "_chunks", "_directory", "_file", "_head", "size")

    def __init__(self, directory: str | None = None, budget: Budget | None = None) -> None:
        self.size = 0
        self._budget = budget or Budget(directory)
        self._charged = 0  # to the budget
        self._chunks: list[bytes] = []
        self._head: bytes = b""
        self._directory = directory
        self._file: IO[bytes] | None = None

    @classmethod
    def of(cls, octets: bytes) -> "Spool":
        """A spool that holds exactly these octets."""
        spool = cls()
        spool._chunks.append(octets)
        spool.size = spool._charged = spool._budget.in_memory = len(octets)
        return spool

    def write(self, octets: bytes) -> None:
        """Add octets. Raises OSError when they cannot be kept."""
        budget, length = self._budget, len(octets)
        if self._file is not None:
            budget.check_disk()
            self._file.write(octets)
            budget.in_files += length
        else:
            chunks = self._chunks
            if chunks and len(octets) < _CRUMB and len(chunks[-1]) < _CRUMB:
                chunks[-1] += octets
            else:
                chunks.append(octets)
            budget.in_memory += length
            grown = self.size + length
            if grown > IN_MEMORY or (budget.in_memory > budget.most_in_memory and grown > _SMALL):
                self._move(length)
        self._charged += length
        self.size += length

    def _move(self, length: int) -> None:
        """To a file; `length` octets were charged just now."""
        budget = self._budget
        self._file = tempfile.TemporaryFile(prefix="spool-", dir=self._directory)  # noqa: SIM115
        budget.in_memory -= self._charged + length
        budget.in_files += self._charged + length
        self._file.writelines(self._chunks)
        self._chunks.clear()

    def prepend(self, octets: bytes) -> None:
        """Put octets (trace fields) before everything else, without copying the body."""
        self._head = octets + self._head
        self.size += len(octets)

    def with_other_head(self, head: bytes) -> "Spool":
        """The same octets behind `head` instead of what was prepended. It holds nothing of its own, and lives as long as
        this spool does."""
        return _Version(self, head)

    def chunks(self) -> Iterator[bytes]:
        """All octets from the start, in pieces of bounded size (or as they were written)."""
        if self._head:
            yield self._head
        if self._file is None:
            yield from self._chunks
            return
        self._file.seek(0)
        while piece := self._file.read(_CHUNK):
            yield piece

    def octets(self) -> bytes:
        """Everything as one value: fine for small ones, deliberate for large ones."""
        if self._file is None:
            return b"".join(self.chunks())
        whole = io.BytesIO()  # grows without being copied; one join would hold up every other thread for long
        for chunk in self.chunks():
            whole.write(chunk)
        return whole.getvalue()

    def discard(self) -> None:
        """Forget the octets and the file."""
        self._chunks.clear()
        self._head = b""
        if self._file is not None:
            with suppress(OSError):  # what it could not write is not wanted any more
                self._file.close()
        self._release()
        self._file = None

    def __del__(self) -> None:
        self._release()  # of one that nobody discarded

    def _release(self) -> None:
        if self._file is not None:
            self._budget.in_files -= self._charged
        else:
            self._budget.in_memory -= self._charged
        self._charged = 0


class _Version(Spool):
    """Another spool's octets behind another head."""

    __slots__ = ()

    def __init__(self, original: Spool, head: bytes) -> None:
        super().__init__(original._directory, original._budget)
        self._chunks, self._file, self._head = original._chunks, original._file, head
        self.size = original.size - len(original._head) + len(head)

    def discard(self) -> None:
        """The octets belong to the original."""
        self._chunks, self._file, self._head = [], None, b""
