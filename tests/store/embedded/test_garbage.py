"""What nothing refers to goes, everything else stays: rows, blobs, segments."""

import asyncio
from pathlib import Path

import pytest
from tests.store.conftest import HASHES, message
from tests.store.embedded.conftest import Observed
from tests.store.embedded.test_persistence import everything

from pillarbox.store.api import Delivery, NewMessage, Relay, StoreMode
from pillarbox.store.embedded import EmbeddedStore, segments
from pillarbox.store.embedded.compaction import Compaction
from pillarbox.store.embedded.guard import keep_segments
from pillarbox.store.embedded.segments import path_of
from pillarbox.store.spool import Spool


def rows(store: EmbeddedStore, table: str) -> int:
    """How many rows a table has."""
    return int(store._near.execute(f"SELECT count(*) FROM {table}").get)


async def fill(store: EmbeddedStore, account: int, count: int) -> None:
    """So many messages of 10 KB, one by one."""
    for n in range(count):
        await store.mail.append(account, "INBOX", [NewMessage(Spool.of(message(n) + bytes(10_000)))])


async def test_octets_stay_as_long_as_someone_has_the_message(store: EmbeddedStore, alice: int) -> None:
    relay = Relay("Q1", "alice@example.test", [("x@y.test", {})], alice)
    await store.accept(Spool.of(message(1)), [Delivery(alice)], relay)
    inbox = await store.mail.open(alice, "INBOX")
    await store.mail.copy(alice, inbox.mailbox, [1], "Archive")
    archive = await store.mail.open(alice, "Archive")

    await store.mail.expunge(alice, inbox.mailbox, None, deleted_only=False)
    await store._sweeper.sweep()
    assert (rows(store, "messages"), rows(store, "blobs")) == (1, 1)
    assert await store.mail.octets(alice, archive.mailbox, 1) == message(1)

    await store.mail.delete(alice, "Archive")
    await store._sweeper.sweep()
    assert (rows(store, "messages"), rows(store, "blobs")) == (0, 1)
    assert await store.queue.content("Q1") == message(1)

    await store.queue.remove("Q1")
    await store._sweeper.sweep()
    assert rows(store, "blobs") == rows(store, "released") == rows(store, "deleted_mailboxes") == 0
    assert list(await store.mail.expunged_since(alice, inbox.mailbox, 0)) == [1]


async def test_who_expunged_what_is_kept(store: EmbeddedStore, alice: int) -> None:
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n))) for n in range(3)])
    inbox = await store.mail.open(alice, "INBOX")
    await store.mail.expunge(alice, inbox.mailbox, [1], deleted_only=False, by="session-1")
    await store.mail.move(alice, inbox.mailbox, [3], "Trash", by="session-2")
    kept = store._near.execute("SELECT session, at > 0 FROM expunges ORDER BY modseq").fetchall()
    assert kept == [("session-1", 1), ("session-2", 1)]


async def test_a_mostly_dead_segment_gives_back_its_space(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillarbox.store.embedded.writer.SEGMENT_SIZE", 100_000)
    await fill(store, alice, 40)
    files = segments.numbers(folder / "segments")
    assert len(files) == 4
    inbox = await store.mail.open(alice, "INBOX")
    # The first two lose all but one message each, the third a few.
    gone = [uid for uid in range(1, 25) if uid not in (2, 15, 23, 24)]
    await store.mail.octets(alice, inbox.mailbox, 2)  # its file is open
    await store.mail.expunge(alice, inbox.mailbox, gone, deleted_only=False)
    await store._sweeper.sweep()
    left = segments.numbers(folder / "segments")
    assert files[:2] == [n for n in files if n not in left]
    assert files[2] in left
    for uid in inbox.uids:
        assert await store.mail.octets(alice, inbox.mailbox, uid) == message(uid - 1) + bytes(10_000)
    assert [p async for p in store.check.problems(repair=False)] == []
    before = await everything(store)
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert await everything(again) == before
    await again.close()


async def test_only_segments_that_lost_something_are_looked_at(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillarbox.store.embedded.writer.SEGMENT_SIZE", 20_000)
    await fill(store, alice, 10)
    inbox = await store.mail.open(alice, "INBOX")
    await store._sweeper.sweep()  # the first one looks at all of them
    looked_at: list[int] = []
    is_worth_it = Compaction._is_worth_it
    monkeypatch.setattr(Compaction, "_is_worth_it", lambda c, s, live: looked_at.append(s) or is_worth_it(c, s, live))
    home = store._near.execute("SELECT segment FROM blobs ORDER BY id LIMIT 1").get
    await store._sweeper.sweep()
    assert looked_at == []
    await store.mail.expunge(alice, inbox.mailbox, [1], deleted_only=False)
    await store._sweeper.sweep()
    assert home in looked_at
    assert len(looked_at) <= 2  # the one that was the last may have been completed meanwhile


async def test_what_a_backup_keeps_goes_after_it(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillarbox.store.embedded.writer.SEGMENT_SIZE", 20_000)
    await fill(store, alice, 5)
    first = segments.numbers(folder / "segments")[0]
    inbox = await store.mail.open(alice, "INBOX")
    await store._sweeper.sweep()
    with keep_segments(folder):
        await store.mail.expunge(alice, inbox.mailbox, [1, 2], deleted_only=False)
        await store._sweeper.sweep()
        assert first in segments.numbers(folder / "segments")
    await store._sweeper.sweep()  # although nothing died since
    assert first not in segments.numbers(folder / "segments")


async def test_what_a_repair_finds_dead_is_compacted(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillarbox.store.embedded.writer.SEGMENT_SIZE", 20_000)
    await fill(store, alice, 5)
    first = segments.numbers(folder / "segments")[0]
    inbox = await store.mail.open(alice, "INBOX")
    await store._writer.do(lambda batch: batch.execute("UPDATE segments SET live = 99999 WHERE id = ?", (first,)))
    await store.mail.expunge(alice, inbox.mailbox, [1, 2], deleted_only=False)
    await store._sweeper.sweep()
    assert first in segments.numbers(folder / "segments")  # it seems to be full of mail
    assert [p async for p in store.check.problems(repair=True)] != []
    await store._sweeper.sweep()
    assert first not in segments.numbers(folder / "segments")
    assert [p async for p in store.check.problems(repair=False)] == []


async def test_a_damaged_segment_is_kept_whole(
    store: EmbeddedStore, alice: int, folder: Path, observed: Observed
) -> None:
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n) + bytes(10_000))) for n in range(5)])
    inbox = await store.mail.open(alice, "INBOX")
    segment, offset = store._near.execute("SELECT segment, offset FROM blobs ORDER BY id DESC LIMIT 1").get
    with path_of(folder / "segments", segment).open("r+b") as file:
        file.seek(offset + 5000)
        file.write(b"!")
    store._log.roll()
    await store.mail.expunge(alice, inbox.mailbox, [1, 2, 3, 4], deleted_only=False)
    await store._sweeper.sweep()
    assert ("segment_damaged", {"segment": segment}) in observed
    assert path_of(folder / "segments", segment).exists()


async def test_an_account_goes_with_everything(store: EmbeddedStore, alice: int, folder: Path) -> None:
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    await store.accept(Spool.of(message(1)), [Delivery(alice), Delivery(bob)])
    await store.accept(Spool.of(message(2)), [Delivery(bob)])
    view = await store.mail.open(bob, "INBOX")
    await store.mail.store_flags(bob, view.mailbox, [1], StoreMode.ADD, frozenset({"x"}))
    await store.mail.expunge(bob, view.mailbox, [1], deleted_only=False)
    await store.directory.remove_account(bob)
    await store._sweeper.sweep()
    assert {t: rows(store, t) for t in ("accounts", "messages", "blobs", "changes", "expunges", "states")} == {
        "accounts": 1, "messages": 1, "blobs": 1, "changes": 0, "expunges": 0, "states": 0,
    }  # fmt: skip
    assert rows(store, "mailboxes") == rows(store, "subscriptions") == 6


async def test_sweeping_beside_other_work(store: EmbeddedStore, alice: int) -> None:
    """Everything at once; in the end exactly what was not expunged is there."""
    inbox = await store.mail.open(alice, "INBOX")

    async def work(n: int) -> None:
        octets = message(n)
        appended = await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(octets))])
        copied = await store.mail.copy(alice, inbox.mailbox, appended.uids, "Archive")
        assert await store.mail.octets(alice, inbox.mailbox, appended.uids[0]) == octets
        moved = await store.mail.move(alice, inbox.mailbox, appended.uids, "Trash")
        trash = await store.mail.open(alice, "Trash")
        await store.mail.expunge(alice, trash.mailbox, moved.target, deleted_only=False)
        archive = await store.mail.open(alice, "Archive")
        assert await store.mail.octets(alice, archive.mailbox, copied.target[0]) == octets

    await asyncio.gather(*[work(n) for n in range(200)])
    await store._sweeper.sweep()
    assert await store.mail.usage(alice) == (sum(len(message(n)) for n in range(200)), 200)
    assert (rows(store, "messages"), rows(store, "blobs")) == (200, 200)
    assert [p async for p in store.check.problems(repair=False)] == []
