"""What is read back from the disk, after something else wrote on it: segments and packed states of mailboxes."""

import tempfile
from pathlib import Path

from pillarbox.store.embedded import changelog, segments, summaries

MAX_UIDS = 1_000_000
"""What is left out: our own index is trusted to name no more messages than a mailbox has."""


def segment(octets: bytes) -> None:
    """Records lie inside of the file, one after the other; octets that changed are seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        segments.path_of(folder, 1).write_bytes(octets)
        at = len(segments.FILE_HEADER)
        for record in segments.scan(folder, 1):
            assert record.offset == at
            at += segments.RECORD_HEADER + record.size + len(record.note)
            assert at <= len(octets)
            segments.is_whole(folder, 1, record.offset, blob=record.blob, size=record.size, crc=record.crc)


def packed_state(octets: bytes) -> None:
    """Summaries, runs and sets of UIDs: ValueError is what damage may raise."""
    kind, rest = octets[:1], octets[1:]
    try:
        if kind < b"\x55":
            summary = summaries.unpack(rest)
            assert summaries.unpack(summaries.pack(summary)) == summary
        elif kind < b"\xaa":
            changelog.decode_runs(rest)
        elif (
            sum(
                max(0, int.from_bytes(rest[i + 4 : i + 8], "little") - int.from_bytes(rest[i : i + 4], "little"))
                for i in range(0, len(rest), 8)
            )
            < MAX_UIDS
        ):
            changelog.decode_uids(rest)
    except ValueError:
        return
