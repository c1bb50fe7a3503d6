"""Reading octets out of segments: at once when they are in the page cache, by a thread when the disk must be asked."""

import os
from collections import OrderedDict
from pathlib import Path

import apsw

from pillarbox.store.api import StoreUnavailable
from pillarbox.store.embedded.schema import UNDECODABLE, query
from pillarbox.store.embedded.segments import RECORD_HEADER, path_of
from pillarbox.store.embedded.workers import Workers

Place = tuple[int, int, int]
"""Where a blob is: segment, offset of its record, size."""

OPEN_SEGMENTS = 128
"""Files kept open for reading: 8 GB of mail without opening one, and far below usual limits of descriptors."""

_AT_ONCE = 256 * 1024  # copying more than this would hold up the loop for longer than the way to a thread
_MOVES = 5  # a blob moves so often at most while someone wants to read it
_TOO_SHORT = "a segment ends before the octets that the index says it holds: run `pillarbox fsck`"
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


class _File:
    """An open segment; closed when the last one who reads from it is done."""

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        descriptor = getattr(self, "descriptor", -1)
        if descriptor >= 0:
            os.close(descriptor)


class SegmentReader:
    """Reads octets of any segment."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self._folder = folder
        self._workers = workers
        self._files: OrderedDict[int, _File] = OrderedDict()
        self._nowait = bool(_NOWAIT)
        self._buffer = memoryview(bytearray(_AT_ONCE))  # what is read at once passes through here

    async def read(self, segment: int, offset: int, length: int) -> bytes:
        """So many octets. Raises FileNotFoundError when the segment is not there any more, OSError."""
        octets = self.read_now(segment, offset, length)
        if octets is not None:
            return octets
        return await self._workers.run(read_exactly, self._file(segment), offset, length)

    def forget(self, segment: int) -> None:
        """The segment's file goes: let go of it."""
        self._files.pop(segment, None)

    def close(self) -> None:
        """Let go of all files."""
        self._files.clear()

    def _file(self, segment: int) -> _File:
        file = self._files.get(segment)
        if file is None:
            file = self._files[segment] = _File(path_of(self._folder, segment))
            if len(self._files) > OPEN_SEGMENTS:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(segment)
        return file

    def read_now(self, segment: int, offset: int, length: int) -> bytes | None:
        """So many octets, None when they are too many or the disk would have to be asked. Raises as `read`."""
        if not self._nowait or length > _AT_ONCE or offset < 0:
            return None
        descriptor = self._file(segment).descriptor
        buffer = self._buffer[:length]
        try:
            got = os.preadv(descriptor, [buffer], offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError:  # this file system cannot say whether it would wait
            self._nowait = False
            return None
        return bytes(buffer) if got == length else None


def read_exactly(file: _File, offset: int, length: int) -> bytes:
    """So many octets, waiting for the disk. Raises OSError, also when the file ends before."""
    parts = []
    if offset + length > os.fstat(file.descriptor).st_size:  # asked first: a damaged length would take all memory
        raise OSError(_TOO_SHORT)
    while length > 0:
        part = os.pread(file.descriptor, length, offset)
        if not part:
            raise OSError(_TOO_SHORT)
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class BlobReader:
    """Reads blobs wherever they are now. `near` is a connection for the event loop."""

    def __init__(self, near: apsw.Connection, segments: SegmentReader) -> None:
        self._near = near
        self._segments = segments

    async def read(self, which: str, row: tuple[object, ...], start: int, length: int | None) -> bytes | None:
        """A part of the blob whose id a query gives; None when it gives none. Raises StoreUnavailable."""
        for _ in range(_MOVES):
            found = query(self._near, f"SELECT segment, offset, size FROM blobs WHERE id = ({which})", row)
            if not found:
                return None
            try:
                return await self.read_place(found[0], start, length)
            except FileNotFoundError:
                self._segments.forget(found[0][0])  # compaction has just moved it
            except OSError as error:
                raise StoreUnavailable(f"the message cannot be read now ({error})") from error
        raise StoreUnavailable("the message's octets are missing: run `pillarbox fsck`")

    def read_now(self, place: Place, length: int | None) -> bytes | None:
        """What is at a place, or so many octets of it, None when that is to be read in another way."""
        segment, offset, size = place
        wanted = size if length is None else min(length, size)
        try:
            return self._segments.read_now(segment, offset + RECORD_HEADER, wanted) if wanted else b""
        except (OSError, *UNDECODABLE):
            return None

    async def read_place(self, place: Place, start: int, length: int | None) -> bytes:
        """A part of what is at a place. Raises OSError."""
        segment, offset, size = place
        try:
            wanted = max(0, size - start if length is None else min(length, size - start))
            return await self._segments.read(segment, offset + RECORD_HEADER + start, wanted) if wanted else b""
        except UNDECODABLE as error:
            raise OSError(f"the index names no place of octets ({error}): run `pillarbox fsck`") from error
