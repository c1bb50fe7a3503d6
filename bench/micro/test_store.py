"""The store: a record in a segment, durable; what the index keeps of a message."""

import zlib
from pathlib import Path
from typing import Any

import pytest

from pillarbox.mail.summary import summarise
from pillarbox.store.embedded import summaries
from pillarbox.store.embedded.segments import SegmentLog, record_header


@pytest.mark.parametrize("batch", [1, 20])
def test_segment_write(benchmark: Any, mail: list[bytes], tmp_path: Path, batch: int) -> None:
    """With fdatasync: mostly the disk's time."""
    log = SegmentLog(tmp_path, 1)
    octets = min(mail, key=lambda octets: abs(len(octets) - 8192))
    end = log.end

    def write() -> int:
        nonlocal end
        buffers = []
        for _ in range(batch):
            buffers += [record_header(1, len(octets), zlib.crc32(octets), b""), octets]
        log.write(1, end, buffers)
        end += sum(map(len, buffers))
        return end

    assert benchmark(write)
    log.close()


def test_packed_summary(benchmark: Any, mail: list[bytes]) -> None:
    summary = summarise(mail[0])
    assert benchmark(lambda: summaries.unpack(summaries.pack(summary))) == summary
