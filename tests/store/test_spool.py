"""Octets on their way in: in memory, in a file, in crumbs."""

import errno
import gc
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pillarbox.store.spool import IN_MEMORY, Budget, Spool


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 10_000, IN_MEMORY, IN_MEMORY + 1, 2 * IN_MEMORY])
@pytest.mark.parametrize("piece", [1000, 4096, 65_536])
def test_octets_come_back(size: int, piece: int) -> None:
    octets = bytes(range(256)) * (size // 256 + 1)
    octets = octets[:size]
    spool = Spool()
    for start in range(0, size, piece):
        spool.write(octets[start : start + piece])
    assert spool.octets() == octets
    assert spool.size == size
    spool.prepend(b"T: race\r\n")
    assert spool.octets() == b"T: race\r\n" + octets
    assert spool.size == size + 9
    spool.discard()


def test_crumbs_are_joined() -> None:
    spool = Spool()
    for _ in range(20_000):
        spool.write(b"x")
    assert sum(1 for _ in spool.chunks()) <= 5
    assert spool.octets() == b"x" * 20_000


def test_large_chunks_are_kept_as_they_are() -> None:
    chunk = b"x" * 8192
    spool = Spool()
    spool.write(chunk)
    assert next(iter(spool.chunks())) is chunk


def test_many_small_messages_that_never_end_move_to_files() -> None:
    """However many peers begin a message, what is kept in memory is bounded."""
    budget = Budget(most_in_memory=1024 * 1024)
    spools = [Spool(None, budget) for _ in range(50)]
    for _ in range(10):
        for spool in spools:
            spool.write(b"x" * 10_000)
    assert budget.in_memory <= 1024 * 1024 + 50 * 16 * 1024
    assert budget.in_memory + budget.in_files == 50 * 100_000
    assert all(spool.octets() == b"x" * 100_000 for spool in spools)
    for spool in spools:
        spool.discard()
        spool.discard()
    forgotten = Spool(None, budget)
    forgotten.write(b"x" * 1000)
    assert budget.in_memory == 1000
    del forgotten
    gc.collect()
    assert (budget.in_memory, budget.in_files) == (0, 0)


def test_messages_that_never_end_leave_room_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    budget = Budget(str(tmp_path))
    free = 100 * 1024 * 1024
    monkeypatch.setattr(
        os, "statvfs", lambda _path: SimpleNamespace(f_bavail=free - budget.in_files, f_frsize=1)
    )  # fmt: skip
    spools = [Spool(str(tmp_path), budget) for _ in range(8)]
    with pytest.raises(OSError, match="too much of the disk") as refused:  # noqa: PT012
        while True:
            for spool in spools:
                spool.write(b"x" * 512 * 1024)
    assert refused.value.errno == errno.ENOSPC
    assert free / 2 <= budget.in_files <= free / 2 + 16 * 1024 * 1024
    spools.pop().discard()
    spools.pop().discard()
    spools[0].write(b"x" * 512 * 1024)  # there is room again
    for spool in spools:
        spool.discard()
    assert budget.in_files == 0


def test_a_spool_whose_end_cannot_be_written_is_forgotten_all_the_same() -> None:
    spool = Spool()
    spool.write(bytes(IN_MEMORY + 1))
    assert spool._file is not None
    spool.write(b"still in a buffer")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    os.dup2(descriptor, spool._file.fileno())
    os.close(descriptor)
    spool.discard()
    assert spool._file is None
