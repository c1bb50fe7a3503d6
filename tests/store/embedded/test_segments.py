"""Segment files: whole records are found, everything else is not."""

import errno
import os
import zlib
from pathlib import Path

import pytest

from pillarbox.store.embedded import segments
from pillarbox.store.embedded.segments import FILE_HEADER, RECORD_HEADER, SegmentLog, record_header

BODIES = [b"first", b"", b"third\r\n" * 1000]
NOTES = [b"a@example.test\tINBOX", b"", b"x"]


def write(folder: Path) -> list[int]:
    """A segment of three records; returns where each begins."""
    log = SegmentLog(folder, 1)
    offsets = []
    for blob, (body, note) in enumerate(zip(BODIES, NOTES, strict=True), 1):
        offsets.append(log.end)
        log.write(log.number, log.end, [record_header(blob, len(body), zlib.crc32(body), note), body, note])
        log.end += RECORD_HEADER + len(body) + len(note)
    log.close()
    return offsets


def test_records_are_found_again(tmp_path: Path) -> None:
    offsets = write(tmp_path)
    found = list(segments.scan(tmp_path, 1))
    assert [(r.blob, r.offset, r.size, r.crc, r.note) for r in found] == [
        (n + 1, offsets[n], len(body), zlib.crc32(body), NOTES[n]) for n, body in enumerate(BODIES)
    ]
    assert list(segments.scan(tmp_path, 1, offsets[2])) == found[2:]


def test_a_torn_tail_is_ignored_at_every_length(tmp_path: Path) -> None:
    """Cut at each octet of the last two records: what is whole before the cut is found, nothing else."""
    offsets = write(tmp_path)
    path = segments.path_of(tmp_path, 1)
    whole = path.read_bytes()
    ends = [*offsets[1:], len(whole)]
    for cut in [*range(offsets[1], offsets[2] + 60), *range(len(whole) - 60, len(whole))]:
        path.write_bytes(whole[:cut])
        assert [r.blob for r in segments.scan(tmp_path, 1)] == [n + 1 for n, end in enumerate(ends) if end <= cut]


@pytest.mark.parametrize("at", [0, 5, 20, 30, 35])
def test_a_damaged_header_ends_the_scan(tmp_path: Path, at: int) -> None:
    offsets = write(tmp_path)
    path = segments.path_of(tmp_path, 1)
    octets = bytearray(path.read_bytes())
    octets[offsets[1] + at] ^= 1
    path.write_bytes(octets)
    assert [r.blob for r in segments.scan(tmp_path, 1)] == [1]


def test_damaged_octets_are_noticed(tmp_path: Path) -> None:
    offsets = write(tmp_path)
    path = segments.path_of(tmp_path, 1)
    crc = zlib.crc32(BODIES[2])
    right = {"blob": 3, "size": len(BODIES[2]), "crc": crc}
    assert segments.is_whole(tmp_path, 1, offsets[2], **right)
    assert not segments.is_whole(tmp_path, 1, offsets[2], **right | {"blob": 2})
    assert not segments.is_whole(tmp_path, 1, offsets[1], **right)
    assert not segments.is_whole(tmp_path, 2, offsets[2], **right)
    octets = bytearray(path.read_bytes())
    octets[offsets[2] + RECORD_HEADER + 3000] ^= 1
    path.write_bytes(octets)
    assert not segments.is_whole(tmp_path, 1, offsets[2], **right)


def test_a_message_of_its_own_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    def chunks() -> list[bytes]:
        return [b"a" * 10, b"b" * 10]

    crc = segments.write_alone(tmp_path, 7, 1, 20, chunks(), b"note")
    assert crc == zlib.crc32(b"".join(chunks()))
    assert segments.is_whole(tmp_path, 7, len(FILE_HEADER), blob=1, size=20, crc=crc)
    with pytest.raises(OSError, match="promised"):
        segments.write_alone(tmp_path, 8, 2, 21, chunks(), b"")
    assert segments.numbers(tmp_path) == [7]
    assert oct(os.stat(segments.path_of(tmp_path, 7)).st_mode & 0o777) == "0o600"


def test_partial_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may take fewer octets than it was given."""
    pwritev, pwrite = os.pwritev, os.pwrite
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, at: pwritev(fd, [b"".join(buffers)[:7]], at))
    monkeypatch.setattr(os, "pwrite", lambda fd, octets, at: pwrite(fd, bytes(octets)[:11], at))
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    segments.write_all(file, [b"abc" * 20, b"def" * 700], 0)
    os.close(file)
    assert (tmp_path / "x").read_bytes() == b"abc" * 20 + b"def" * 700


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_segment_that_cannot_be_begun_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        segments.write_alone(tmp_path, 1, 1, 5, [b"large"], b"")
    assert list(tmp_path.iterdir()) == []
