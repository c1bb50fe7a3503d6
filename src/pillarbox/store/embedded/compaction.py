"""Compaction: a segment of which most is dead gives back its space; what lives in it moves to the end of the log.

The index names the new place in the same commit that writes the octets there; the old file goes after that commit. Who still
reads from it holds it open.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import apsw

from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.guard import may_remove
from pillarbox.store.embedded.reading import SegmentReader
from pillarbox.store.embedded.schema import json_list, query
from pillarbox.store.embedded.segments import FILE_HEADER, RECORD_HEADER, Record, SegmentLog, path_of, scan
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Observer, Writer

_OCTETS = 2 * 1024 * 1024  # to a step: some milliseconds of the writer's time
_LIVE_SHARE = 0.5  # compacting what is half dead moves each octet once on average


@dataclass(frozen=True, slots=True)
class _Moving:
    record: Record
    octets: bytes


class Compaction:
    """`near` is a connection for the event loop."""

    def __init__(
        self,
        writer: Writer,
        log: SegmentLog,
        reader: SegmentReader,
        near: apsw.Connection,
        workers: Workers,
        observer: Observer,
    ) -> None:
        self._writer = writer
        self._log = log
        self._reader = reader
        self._near = near
        self._workers = workers
        self._observer = observer
        self._damaged: set[int] = set()
        self._suspects: set[int] | None = None  # lost octets since they were looked at; None: nobody looked yet
        self.compacted = 0  # segments that gave back their space

    def suspect(self, segments: Iterable[int]) -> None:
        """Octets in these segments die, or died: one too many costs a look."""
        if self._suspects is not None:
            self._suspects.update(segments)

    async def run(self) -> None:
        """Compact every segment that is worth it. Raises StoreError, OSError.

        The first time all are looked at, later those that lost octets: a large store has tens of thousands of segments.
        """
        if self._suspects is None:
            self._suspects = {segment for (segment,) in query(self._near, "SELECT id FROM segments")}
        asked = json_list(sorted(self._suspects))
        known = query(
            self._near, "SELECT id, live FROM segments WHERE id IN (SELECT value FROM json_each(?))", (asked,)
        )
        sealed = [(segment, live) for segment, live in known if segment != self._log.number]
        worth_it = await self._workers.run(lambda: {s for s, live in sealed if self._is_worth_it(s, live)})
        self._suspects &= {segment for segment, _ in known}
        for segment, _ in sealed:
            if segment not in worth_it or segment in self._damaged or await self._compact(segment):
                self._suspects.discard(segment)

    def _is_worth_it(self, segment: int, live: int) -> bool:
        if live <= 0:
            return True
        try:
            size = path_of(self._log.folder, segment).stat().st_size - len(FILE_HEADER)
        except FileNotFoundError:
            return False  # fsck's matter
        return live < size * _LIVE_SHARE

    async def _compact(self, segment: int) -> bool:
        """Whether that is over; False: try again at the next run."""
        living = {b: (at, crc) for b, at, crc in query(self._near, _BLOBS, (segment,))}
        records = await self._workers.run(self._records, segment) if living else []
        moving = [r for r in records if living.get(r.blob) == (r.offset, r.crc)]
        if len(moving) < len(living):
            self._give_up(segment)
            return True
        while moving:
            some: list[Record] = []
            while moving and sum(r.size for r in some) < _OCTETS:
                some.append(moving.pop())
            loaded = await self._workers.run(self._load, segment, some)
            if loaded is None:
                self._give_up(segment)
                return True
            await self._writer.do(lambda batch, loaded=loaded: _stage_move(batch, segment, loaded))  # type: ignore[misc]
        with may_remove(self._log.folder.parent) as free:
            if not free:
                return False  # a backup wants it; nothing lives in it, so the next run only has to remove it
            await self._writer.do(lambda batch: batch.execute("DELETE FROM segments WHERE id = ?", (segment,)))
            self._reader.forget(segment)
            path = path_of(self._log.folder, segment)
            await self._workers.run(lambda: path.unlink(missing_ok=True))
            self.compacted += 1
        return True

    def _give_up(self, segment: int) -> None:
        """Something in it cannot be read: better keep all of it, for good."""
        self._damaged.add(segment)
        self._observer("segment_damaged", segment=segment)

    def _records(self, segment: int) -> list[Record]:
        return list(scan(self._log.folder, segment))

    def _load(self, segment: int, records: list[Record]) -> list[_Moving] | None:
        loaded = []
        with path_of(self._log.folder, segment).open("rb") as file:
            for record in records:
                file.seek(record.offset + RECORD_HEADER)
                octets = file.read(record.size)
                if zlib.crc32(octets) != record.crc:
                    return None
                loaded.append(_Moving(record, octets))
        return loaded


_BLOBS = "SELECT id, offset, crc FROM blobs WHERE segment = ?"


def _stage_move(batch: Batch, segment: int, moving: list[_Moving]) -> None:
    for m in moving:
        offset = batch.add_record(m.record.blob, m.octets, m.record.crc, m.record.note)
        batch.execute(
            "UPDATE blobs SET segment = ?, offset = ? WHERE id = ? AND segment = ?",
            (batch.segment, offset, m.record.blob, segment),
        )
        batch.execute("UPDATE segments SET live = live - ? WHERE id = ?", (RECORD_HEADER + m.record.size, segment))
        batch.execute(
            "INSERT INTO segments VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET live = live + excluded.live",
            (batch.segment, RECORD_HEADER + m.record.size),
        )
