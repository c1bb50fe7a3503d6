"""The power fails while a backup is made or restored: a finished snapshot is whole, and so is what only has the name of one.

A store works, with a backup after each piece of work, and old ones go; then the last one is restored. All that happens to the
disk, in folders that were not there before, is recorded (`recording`), and after any event an image of what might be left
is made (`aftermath`). PREFIXES is how many events are looked at (`all`: every one).
"""

import asyncio
import itertools
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.crash import load
from tests.crash.aftermath import Disk, instants
from tests.crash.ledger import body, key_of
from tests.crash.recording import Event, Recorder
from tests.crash.test_power_loss import HASTENED

from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, backup, manifest, snapshot
from pillarbox.store.spool import Spool

PREFIXES = os.environ.get("PREFIXES", "150")
BACKUPS = 4
KEEP = 2
MESSAGES = 12
"""Between two backups; every other one goes again, so that segments do."""


@dataclass
class World:
    """A folder in which everything happens. The ledgers are (events before it, what was promised)."""

    place: Path
    finished: list[tuple[int, str, list[str]]] = field(default_factory=list)
    going: list[tuple[int, str]] = field(default_factory=list)
    restored: list[tuple[int, list[str]]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.place / "var" / "lib" / "data"

    @property
    def backups(self) -> Path:
        return self.place / "mnt" / "disk" / "backups"

    @property
    def again(self) -> Path:
        return self.place / "new" / "machine" / "data"


async def in_inbox(store: EmbeddedStore) -> list[str]:
    """The keys of the messages there, whose octets are compared."""
    account = await load.owner(store)
    view = await store.mail.open(account, "INBOX")
    found = [await store.mail.octets(account, view.mailbox, uid) or b"" for uid in view.uids]
    keys = [key_of(octets) for octets in found]
    assert found == [body(key) for key in keys]
    return keys


async def record(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Work, back up, restore; returns what was asked of the disk."""
    for module, name in HASTENED:  # so that they come back
        monkeypatch.setattr(module, name, getattr(module, name))
    load.hasten()
    world.place.mkdir()
    recorder = Recorder(world.place)
    recorder.install(monkeypatch.setattr)
    try:
        store = await EmbeddedStore.open(world.data)
        account = await load.owner(store)
        numbers = itertools.count()
        for _ in range(BACKUPS):
            new = [f"T0-{next(numbers)}" for _ in range(MESSAGES)]
            for key in new:
                await store.mail.append(account, "INBOX", [NewMessage(Spool.of(body(key)), frozenset())])
            view = await store.mail.open(account, "INBOX")
            await store.mail.expunge(account, view.mailbox, list(view.uids)[::2], deleted_only=False)
            before = [path.name for path in manifest.snapshots(world.backups)] if world.backups.exists() else []
            world.going += [(len(recorder.events), name) for name in before[: max(0, len(before) + 1 - KEEP)]]
            made = await asyncio.to_thread(backup.back_up, world.data, world.backups, keep=KEEP)
            world.finished.append((len(recorder.events), made.name, await in_inbox(store)))
        await store.close()
        assert snapshot.restore(made, world.again) == []
        world.restored.append((len(recorder.events), world.finished[-1][2]))
    finally:
        recorder.vfs.unregister()
        monkeypatch.undo()
    return recorder.events


@pytest.mark.slow
@pytest.mark.timeout(10_000)
async def test_a_finished_backup_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path / "world")
    events = await record(world, monkeypatch)
    await look(world, events, 1, PREFIXES)


FORGETFUL = {
    "the folders above": lambda world, e: Path(e.path) in (*world.data.parents, *world.backups.parents),
    "the folder of snapshots": lambda world, e: Path(e.path) == world.backups,
    "the folders in a snapshot": lambda world, e: ".unfinished" in e.path and e.kind == "sync-folder",
    "the octets of a snapshot": lambda world, e: ".unfinished" in e.path and e.kind == "sync",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_missing_fsync_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, on disks that take no notice of some of the fsyncs: each kind of them is needed."""
    world = World(tmp_path / "world")
    recorded = await record(world, monkeypatch)
    for what, forgotten in FORGETFUL.items():
        deaf = [
            Event("nothing", e.path, 0) if e.kind.startswith("sync") and forgotten(world, e) else e for e in recorded
        ]
        with pytest.raises(AssertionError, match="seed 4, event"):
            await look(world, deaf, 4, "100")
        print(what, "is missed")


async def look(world: World, events: list[Event], seed: int, prefixes: str) -> None:
    """After each event, or after so many of them, make an image and check it. Raises AssertionError."""
    wanted = instants(len(events), prefixes, random.Random(seed))
    disk = Disk(world.place)
    found: Counter[str] = Counter()
    for number, event in enumerate(events):
        disk.add(event)
        if number not in wanted:
            continue
        image = World(world.place.with_name("image"))
        how = disk.image(image.place, random.Random(f"{seed} {number}"))
        try:
            await check(world, image, number + 1)
        except Exception as error:
            what = f"seed {seed}, event {number} ({event.kind} {event.path}), {how} kept"
            raise AssertionError(f"{what}: {error!r}") from error
        finally:
            shutil.rmtree(image.place)
        found[how] += 1
    print(f"{len(events)} events, images by what was kept: {dict(found)}")


async def check(world: World, image: World, happened: int) -> None:
    """What was finished and was not to go is there; whatever looks like a snapshot is sound; the next backup is made."""
    there = manifest.snapshots(image.backups) if image.backups.exists() else []
    promised = {name: keys for when, name, keys in world.finished if when <= happened}
    going = {name for when, name in world.going if when < happened}
    assert promised.keys() - going <= {path.name for path in there}
    for path in there:
        assert [p async for p in snapshot.verify(path)] == [], path.name
        if path.name in promised:
            async with snapshot.opened(path) as store:
                assert await in_inbox(store) == promised[path.name]
    assert image.data.exists() or not promised
    if image.data.exists():
        store = await EmbeddedStore.open(image.data)
        await store.close()
        made = backup.back_up(image.data, image.backups, keep=KEEP)
        assert [p async for p in snapshot.verify(made)] == []
        assert [path.name for path in image.backups.iterdir() if path.name.startswith(".unfinished")] == []
    for keys in [keys for when, keys in world.restored if when <= happened] or [None]:
        if keys is not None or (image.again.exists() and any(image.again.iterdir())):
            store = await EmbeddedStore.open(image.again)
            try:
                assert await in_inbox(store) == (keys or world.finished[-1][2])
            finally:
                await store.close()
