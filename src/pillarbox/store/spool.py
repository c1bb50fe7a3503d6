"""Spool: a message's octets on their way in; in memory while small, in a temporary file when large."""

import tempfile
from collections.abc import Iterator
from typing import IO

IN_MEMORY = 512 * 1024
"""Octets kept in memory before a spool moves to a file: most mail is smaller, and a hundred of these fit anywhere."""

_CHUNK = 256 * 1024

_CRUMB = 4096
"""Chunks below this are joined: a peer that sends octet by octet must not make us keep an object for each."""


class Spool:
    """Write-once octets. After the last `write` it can be read any number of times, until `discard`.

    `directory` is where a large one rests (None: the system's temporary folder).
    """

    __slots__ = ("_chunks", "_directory", "_file", "_head", "size")

    def __init__(self, directory: str | None = None) -> None:
        self.size = 0
        self._chunks: list[bytes] = []
        self._head: bytes = b""
        self._directory = directory
        self._file: IO[bytes] | None = None

    @classmethod
    def of(cls, octets: bytes) -> "Spool":
        """A spool that holds exactly these octets."""
        spool = cls()
        spool._chunks.append(octets)
        spool.size = len(octets)
        return spool

    def write(self, octets: bytes) -> None:
        """Add octets. Raises OSError when they cannot be kept."""
        if self._file is not None:
            self._file.write(octets)
        else:
            chunks = self._chunks
            if chunks and len(octets) < _CRUMB and len(chunks[-1]) < _CRUMB:
                chunks[-1] += octets
            else:
                chunks.append(octets)
            if self.size + len(octets) > IN_MEMORY:
                self._file = tempfile.TemporaryFile(prefix="spool-", dir=self._directory)  # noqa: SIM115
                self._file.writelines(self._chunks)
                self._chunks.clear()
        self.size += len(octets)

    def prepend(self, octets: bytes) -> None:
        """Put octets (trace fields) before everything else, without copying the body."""
        self._head = octets + self._head
        self.size += len(octets)

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
        return b"".join(self.chunks())

    def discard(self) -> None:
        """Forget the octets and the file."""
        self._chunks.clear()
        self._head = b""
        if self._file is not None:
            self._file.close()
            self._file = None
