"""Octets on their way in: in memory, in a file, in crumbs."""

import pytest

from pillarbox.store.spool import IN_MEMORY, Spool


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
