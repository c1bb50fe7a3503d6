"""Figures: how large the store is and how it fares, for metrics. Asked for now and then; nothing of it is on a message's way.

What needs many rows is counted in a thread, and once in a while only.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import apsw

from pillarbox.store.api import StoreUnavailable
from pillarbox.store.embedded.compaction import Compaction
from pillarbox.store.embedded.indexer import Indexer
from pillarbox.store.embedded.place import Place
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.state import State
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Writer
from pillarbox.store.upkeep import Counted, QueueFigures, StoreFigures

PERIOD = 10.0
"""Seconds for which counts are kept: a million blobs take some hundredths of a second of a thread."""

_KINDS = {INDEX_FILE: "index", "text.sqlite": "search_index", "placements.sqlite": "placements"}
_QUEUE = "SELECT count(*), coalesce(sum(size), 0), min(created) FROM queue"
_STATES = "SELECT state, count(*) FROM queue_recipients GROUP BY state"


class Figures:
    """Takes the figures of one store."""

    def __init__(
        self, place: Place, state: State, writer: Writer, compaction: Compaction, indexer: Indexer, workers: Workers
    ) -> None:
        self._place = place
        self._state = state
        self._writer = writer
        self._compaction = compaction
        self._indexer = indexer
        self._workers = workers
        self._counted: Counted | None = None
        self._counted_at = 0.0

    async def take(self) -> StoreFigures:
        """The figures as of now, those that are counted at most PERIOD old. Raises StoreUnavailable."""
        now = monotonic()
        if self._counted is None or now - self._counted_at > PERIOD:
            try:
                self._counted = await self._workers.read(_count, self._place.directory, self._place.segments)
            except (apsw.Error, OSError) as error:
                raise StoreUnavailable(f"the store cannot be counted now ({error})") from error
            self._counted_at = now
        counted, owners = self._counted, self._state.owners.values()
        return StoreFigures(
            accounts=len(owners),
            mailboxes=sum(len(owner.mailboxes) for owner in owners),
            messages=sum(owner.messages for owner in owners),
            message_octets=sum(owner.octets for owner in owners),
            counted=counted,
            commits=self._writer.commits,
            operations=self._writer.operations,
            compacted=self._compaction.compacted,
            to_index=min(counted.blobs, self._indexer.behind),
        )


def _count(connection: apsw.Connection, directory: Path, segments: Path) -> Counted:
    blobs = connection.execute("SELECT count(*) FROM blobs").get or 0
    [(messages, octets, oldest)] = connection.execute(_QUEUE)
    queue = QueueFigures(messages, octets, oldest, dict(connection.execute(_STATES)))
    sizes = dict.fromkeys(("segments", "incoming", *_KINDS.values(), "other"), 0)
    number = 0
    for size in _sizes(segments):
        number += 1
        sizes["segments"] += size
    sizes["incoming"] = sum(_sizes(directory / "incoming"))
    for entry in _files(directory):
        name = entry.name.removesuffix("-wal").removesuffix("-shm")
        sizes[_KINDS.get(name, "other")] += _size(entry)
    disk = os.statvfs(directory)
    return Counted(
        blobs, number, sizes, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, disk.f_favail, queue
    )


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))


def _sizes(folder: Path) -> Iterator[int]:
    return map(_size, _files(folder))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # it went just now
        return 0
