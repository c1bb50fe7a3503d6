"""The power fails: of the segments only what was fsynced is left, of the index what SQLite had written.

Images of the data directory are made at the two instants that matter, when a commit is about to begin and when it has just
happened but nobody was told; each is opened and compared with what had been acknowledged by then.
"""

import asyncio
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.crash import load
from tests.crash.test_kill import Promises

from pillarbox.store.embedded import EmbeddedStore, compaction, sweeper, views, writer
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.writer import Writer

OPERATIONS = 1000


class Disk:
    """Knows how much of each file is durable, and makes images."""

    def __init__(self, directory: Path, images: Path, chance: random.Random) -> None:
        self.directory = directory
        self.images = images
        self.chance = chance
        self.ledger: list[bytes] = []
        self.taken: list[tuple[Path, int]] = []
        self._durable: dict[Path, int] = {}

    def synced(self, descriptor: int) -> None:
        """This file was fsynced."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._durable[path] = os.fstat(descriptor).st_size

    def image(self) -> None:
        """Sometimes: what would be left if the power failed now, and how much of the ledger had been written."""
        if self.chance.random() > 0.03:
            return
        target = self.images / str(len(self.taken))
        (target / "segments").mkdir(parents=True)
        for name in (INDEX_FILE, INDEX_FILE + "-wal"):
            if (self.directory / name).exists():
                shutil.copyfile(self.directory / name, target / name)
        for path in (self.directory / "segments").iterdir():
            try:
                octets = path.read_bytes()[: self._durable.get(path, 0)]
            except FileNotFoundError:  # compaction has just removed it: the index did not refer to it any more
                continue
            if octets:
                (target / "segments" / path.name).write_bytes(octets)
        self.taken.append((target, len(self.ledger)))


@pytest.mark.parametrize("seed", range(2))
async def test_what_was_acknowledged_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    directory = tmp_path / "store"
    disk = Disk(directory, tmp_path / "images", random.Random(seed))
    fdatasync, finish = os.fdatasync, Writer._finish
    done = asyncio.Event()

    def syncing(descriptor: int) -> None:
        fdatasync(descriptor)
        disk.synced(descriptor)

    def finishing(writer: Writer, *outcome: object) -> None:
        disk.image()  # committed, but nobody knows
        finish(writer, *outcome)  # type: ignore[arg-type]

    def writing(*line: object) -> None:
        disk.ledger.append(load.as_line(*line))
        if len(disk.ledger) > OPERATIONS:
            done.set()

    monkeypatch.setattr(os, "fdatasync", syncing)
    monkeypatch.setattr(Writer, "_finish", finishing)
    monkeypatch.setattr(load, "write", writing)
    hastened = ((writer, "SEGMENT_SIZE"), (sweeper, "_PAUSE"), (views, "_SMALL"), (compaction, "_LIVE_SHARE"))
    for module, name in hastened:  # so that they come back
        monkeypatch.setattr(module, name, getattr(module, name))
    load.hasten()
    store = await EmbeddedStore.open(directory)
    store._index.set_commit_hook(lambda: bool(disk.image()))  # about to be committed
    await work_until(store, done, seed)
    await store.close()
    monkeypatch.undo()
    assert len(disk.taken) >= 5
    for image, length in disk.taken:
        await check(image, disk.ledger[:length])


async def work_until(store: EmbeddedStore, done: asyncio.Event, seed: int) -> None:
    """The crash tests' load, for a while."""
    account = await load.owner(store)

    def keys(task: int) -> Callable[[], str]:
        numbers = iter(range(10**9))
        return lambda: f"T{task}-{seed}-{next(numbers)}"

    tasks = [
        asyncio.create_task(load.work(store, account, task, random.Random(f"{seed} {task}"), keys(task)))
        for task in range(load.TASKS)
    ]
    waiting = asyncio.create_task(done.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [r for r in results if not isinstance(r, asyncio.CancelledError)] == []


async def check(image: Path, ledger: list[bytes]) -> None:
    """Open an image, compare."""
    promises = Promises()
    promises.read(ledger)
    store = await EmbeddedStore.open(image)
    await promises.check(store)
    await store.close()
