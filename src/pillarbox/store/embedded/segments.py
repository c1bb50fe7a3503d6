"""Segments: append-only files that hold messages' octets, many to a file; a very large message has one of its own.

A file is a header and then records: (magic, blob id, size, crc32, size and crc32 of the note, crc32 of this header),
the octets, the note. The note says where the message was delivered, so that segments alone suffice to find all mail again.
What follows the last whole record is the trace of a crash; the index never refers to it.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pillarbox.store.api import StoreError
from pillarbox.store.embedded.place import sync_folder

VERSION = 1
_KIND = b"Pillarbox segment "
FILE_HEADER = b"%s%d\n" % (_KIND, VERSION)
SEGMENT_SIZE = 64 * 1024 * 1024
"""A segment is sealed when it is larger: compaction then copies at most this much for one file."""

_MAGIC = b"PbxR"
_RECORD = struct.Struct("<4sQQIII")
_CHECK = struct.Struct("<I")
RECORD_HEADER = _RECORD.size + _CHECK.size
_BUFFERS = 1000  # IOV_MAX is 1024
_PIECE = 1024 * 1024
_SUFFIX = ".segment"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a segment: `offset` is where its header begins."""

    blob: int
    offset: int
    size: int
    crc: int
    note: bytes


def path_of(folder: Path, segment: int) -> Path:
    """The file of a segment."""
    return folder / f"{segment:08x}{_SUFFIX}"


def numbers(folder: Path) -> list[int]:
    """The segments that are there, ascending."""
    return sorted(int(p.stem, 16) for p in folder.glob(f"*{_SUFFIX}"))


def check_version(folder: Path, segment: int) -> None:
    """Raises StoreError when a newer Pillarbox wrote this segment, OSError."""
    with path_of(folder, segment).open("rb") as file:
        line = file.read(len(FILE_HEADER) + 8).partition(b"\n")[0]
    number = line.removeprefix(_KIND)
    if line.startswith(_KIND) and number.isdigit() and int(number) > VERSION:
        raise StoreError(
            f"the store was written by a newer Pillarbox (segments of version {int(number)}, this one knows {VERSION}): "
            "run that version, or restore a backup"
        )


def record_header(blob: int, size: int, crc: int, note: bytes) -> bytes:
    """What precedes a record's octets."""
    head = _RECORD.pack(_MAGIC, blob, size, crc, len(note), zlib.crc32(note))
    return head + _CHECK.pack(zlib.crc32(head))


class SegmentLog:
    """The end of the store's segments, where records are appended. `number` and `end` are read and advanced by the event
    loop while no commit runs; files are touched by the writer thread only."""

    def __init__(self, folder: Path, next_number: int) -> None:
        self.folder = folder
        self.number = next_number
        self.end = len(FILE_HEADER)
        self._next = next_number + 1
        self._file = -1
        self._opened = -1

    def take_number(self) -> int:
        """A number for a segment of its own."""
        self._next += 1
        return self._next - 1

    def roll(self) -> None:
        """Go on in a new segment: this one is full, or a write to it failed and nobody knows what it holds."""
        self.number = self.take_number()
        self.end = len(FILE_HEADER)

    def write(self, number: int, offset: int, buffers: Sequence[bytes]) -> None:
        """Put octets into a segment, durably. Raises OSError; then the segment must not be used again."""
        if self._opened != number:
            self.close()
            self._file = create(self.folder, number)
            self._opened = number
        try:
            write_all(self._file, buffers, offset)
            os.fdatasync(self._file)
        except OSError:
            self.close()
            raise

    def take_back(self, number: int, offset: int) -> None:
        """Remove what was written from an offset on, if that is possible; the segment must not be used again."""
        self.close()
        path = path_of(self.folder, number)
        try:
            if offset == len(FILE_HEADER):
                path.unlink()
            else:
                os.truncate(path, offset)
        except OSError:
            pass  # dead octets, no harm

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = self._opened = -1


def create(folder: Path, number: int) -> int:
    """A new segment's file; returns its descriptor. Raises OSError; then no file is left."""
    file = os.open(path_of(folder, number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, FILE_HEADER, 0)
        sync_folder(folder)
    except OSError:
        os.close(file)
        path_of(folder, number).unlink(missing_ok=True)
        raise
    return file


def write_all(file: int, buffers: Sequence[bytes], offset: int) -> None:
    """Write every octet of the buffers at an offset. Raises OSError."""
    for i in range(0, len(buffers), _BUFFERS):
        some = buffers[i : i + _BUFFERS]
        expected = sum(map(len, some))
        written = os.pwritev(file, some, offset)
        if written < expected:  # a signal, or the disk is full: the next write says which
            rest = memoryview(b"".join(some))
            while written < expected:
                written += os.pwrite(file, rest[written:], offset + written)
        offset += expected


def write_alone(folder: Path, number: int, blob: int, size: int, chunks: Iterable[bytes], note: bytes) -> int:
    """A large message as a segment of its own, durably; returns its crc32. Raises OSError; then no file is left."""
    file = create(folder, number)
    try:
        start = at = len(FILE_HEADER) + RECORD_HEADER
        crc = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            write_all(file, [chunk], at)
            at += len(chunk)
        if at - start != size:
            raise OSError(f"a spool promised {size} octets and gave {at - start}")
        write_all(file, [note], at)
        write_all(file, [record_header(blob, size, crc, note)], len(FILE_HEADER))
        os.fdatasync(file)
    except BaseException:
        path_of(folder, number).unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    return crc


def scan(folder: Path, segment: int, offset: int = len(FILE_HEADER)) -> Iterator[Record]:
    """The whole records of a segment from an offset on, without verifying their octets; ends at the first thing that is
    none. Raises OSError."""
    with path_of(folder, segment).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            file.seek(offset)
            head = file.read(RECORD_HEADER)
            if len(head) < RECORD_HEADER or head[:4] != _MAGIC:
                return
            if _CHECK.unpack_from(head, _RECORD.size)[0] != zlib.crc32(head[: _RECORD.size]):
                return
            _, blob, length, crc, note_size, note_crc = _RECORD.unpack_from(head)
            if offset + RECORD_HEADER + length + note_size > size:
                return
            file.seek(length, os.SEEK_CUR)
            note = file.read(note_size)
            if zlib.crc32(note) != note_crc:
                return
            yield Record(blob, offset, length, crc, note)
            offset += RECORD_HEADER + length + note_size


def is_whole(folder: Path, segment: int, offset: int, *, blob: int, size: int, crc: int) -> bool:
    """Whether this very record is at this place and its octets are right."""
    try:
        with path_of(folder, segment).open("rb") as file:
            file.seek(offset)
            head = file.read(RECORD_HEADER)
            if len(head) < RECORD_HEADER or _CHECK.unpack_from(head, _RECORD.size)[0] != zlib.crc32(
                head[: _RECORD.size]
            ):
                return False
            if _RECORD.unpack_from(head)[:4] != (_MAGIC, blob, size, crc):
                return False
            actual = 0
            while size > 0 and (piece := file.read(min(size, _PIECE))):
                actual = zlib.crc32(piece, actual)
                size -= len(piece)
            return size == 0 and actual == crc
    except OSError:
        return False
