"""The power fails: of files and names only what was fsynced is surely left, of the rest nothing, everything, or any part.

The crash tests' load runs on a store whose every write, of segments and of SQLite, is recorded. After any of the recorded
events an image of what might be left is made; it is opened, checked by fsck, and compared with what had been acknowledged
by then. PREFIXES is how many events are looked at, spread over all of them (`all`: every one).
"""

import asyncio
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.crash import load
from tests.crash.aftermath import Disk, instants
from tests.crash.ledger import body
from tests.crash.recording import Event, Recorder
from tests.crash.test_kill import Promises

from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, compaction, incoming, schema, sweeper, views, writer
from pillarbox.store.spool import Spool

OPERATIONS = int(os.environ.get("OPERATIONS", "600"))
PREFIXES = os.environ.get("PREFIXES", "150")
HASTENED = (
    (writer, "SEGMENT_SIZE"), (sweeper, "_PAUSE"), (views, "_SMALL"), (compaction, "_LIVE_SHARE"), (incoming, "ALONE"),
    (incoming, "_IN_THREAD"), (schema, "_CHECKPOINT_PAGES"),
)  # fmt: skip


async def record(directory: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[Recorder, list[bytes]]:
    """Run the load; returns what was asked of the disk, and the ledger."""
    ledger: list[bytes] = []
    done = asyncio.Event()

    def writing(*line: object) -> None:
        ledger.append(load.as_line(*line))
        if len(ledger) > 2 * OPERATIONS:
            done.set()

    monkeypatch.setattr(load, "write", writing)
    for module, name in HASTENED:  # so that they come back
        monkeypatch.setattr(module, name, getattr(module, name))
    load.hasten()
    directory.mkdir()
    recorder = Recorder(directory, lambda: len(ledger))
    recorder.install(monkeypatch.setattr)
    try:
        store = await EmbeddedStore.open(directory)
        await work_until(store, done, seed)
        await store.close()
    finally:
        recorder.vfs.unregister()
        monkeypatch.undo()
    return recorder, ledger


async def look(events: list[Event], ledger: list[bytes], directory: Path, seed: int, prefixes: str) -> Disk:
    """After each event, or after so many of them, make an image and check it. Raises AssertionError."""
    wanted = instants(len(events), prefixes, random.Random(seed))
    disk = Disk(directory)
    found: Counter[str] = Counter()
    for number, event in enumerate(events):
        disk.add(event)
        if number not in wanted:
            continue
        acknowledged = events[number + 1].mark if events[number + 1 :] else len(ledger)
        image = directory.with_name("image")
        how = disk.image(image, random.Random(f"{seed} {number}"))
        try:
            await check(
                image, ledger[:acknowledged], f"seed {seed}, event {number} ({event.kind} {event.path}), {how} kept"
            )
        finally:
            shutil.rmtree(image)
        found[how] += 1
    print(f"{len(ledger) // 2} operations, {len(events)} events, images by what was kept: {dict(found)}")
    return disk


async def test_what_was_acknowledged_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, ledger = await record(tmp_path / "store", monkeypatch, 1)
    disk = await look(recorder.events, ledger, tmp_path / "store", 1, "15")
    for path, octets in disk.everything().items():
        assert Path(path).read_bytes() == octets, f"{path} is not what was recorded"


@pytest.mark.slow
@pytest.mark.timeout(10_000)
@pytest.mark.parametrize("seed", range(2, 4))
async def test_power_fails_at_any_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    recorder, ledger = await record(tmp_path / "store", monkeypatch, seed)
    await look(recorder.events, ledger, tmp_path / "store", seed, PREFIXES)


FORGETFUL = {
    "octets": lambda e: e.kind == "sync" and e.path.endswith(".segment"),
    "names": lambda e: e.kind == "sync-folder" and e.path.endswith("/segments"),
    "the log of SQLite": lambda e: e.kind == "sync" and e.path.endswith("-wal"),
    "the index": lambda e: e.kind == "sync" and e.path.endswith("index.sqlite"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", FORGETFUL)
async def test_a_missing_fsync_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The same, on a disk that takes no notice of some of the fsyncs: each kind of them is needed."""
    recorder, ledger = await record(tmp_path / "store", monkeypatch, 4)
    events = [event for event in recorder.events if not FORGETFUL[what](event)]
    with pytest.raises(AssertionError, match="seed 4, event"):
        await look(events, ledger, tmp_path / "store", 4, "60")


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


async def check(image: Path, ledger: list[bytes], what: str) -> None:
    """Open an image, compare."""
    promises = Promises()
    promises.read(ledger)
    try:
        store = await EmbeddedStore.open(image)
        try:
            await promises.check(store)
            account = await load.owner(store)
            await store.mail.append(account, "INBOX", [NewMessage(Spool.of(body("T0-later")), frozenset())])
        finally:
            await store.close()
        store = await EmbeddedStore.open(image)  # what comes afterwards is kept, too
        try:
            view = await store.mail.open(account, "INBOX")
            assert await store.mail.octets(account, view.mailbox, view.uids[-1]) == body("T0-later")
            assert [p async for p in store.check.problems(repair=False) if "unknown to the index" not in p] == []
        finally:
            await store.close()
    except Exception as error:
        raise AssertionError(f"{what}: {error}") from error
