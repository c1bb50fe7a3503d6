"""Batches: what fails alone fails alone; what the disk refuses is refused wholly, and the store recovers by itself."""

import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.store.conftest import HASHES, message
from tests.store.embedded.conftest import Observed
from tests.store.embedded.test_persistence import everything

from pillarbox.mail import summary
from pillarbox.store.api import Delivery, MailboxExists, NewMessage, OverQuota, StoreMode, StoreUnavailable
from pillarbox.store.changes import Change
from pillarbox.store.embedded import EmbeddedStore, incoming
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.spool import Spool


def count_commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many fsyncs of segments there were, as the length of a list."""
    calls: list[int] = []
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        calls.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    return calls


async def test_what_arrives_together_is_committed_together(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = count_commits(monkeypatch)
    await asyncio.gather(*[store.accept(Spool.of(message(n)), [Delivery(alice)]) for n in range(100)])
    assert len(commits) <= 2
    view = await store.mail.open(alice, "INBOX")
    assert list(view.uids) == list(range(1, 101))
    assert len(set(view.modseqs)) == 100


async def test_one_that_fails_does_not_harm_the_others(store: EmbeddedStore, alice: int) -> None:
    poor = await store.directory.add_account("poor@example.test", HASHES, quota=10)
    results = await asyncio.gather(
        store.accept(Spool.of(message(1)), [Delivery(alice)]),
        store.accept(Spool.of(message(2)), [Delivery(alice), Delivery(poor.id)]),
        store.mail.create(alice, "Sent"),
        store.mail.create(alice, "new"),
        store.accept(Spool.of(message(3)), [Delivery(alice), Delivery(alice, "newer")]),
        store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(4)))]),
        return_exceptions=True,
    )
    kinds = [type(r) for r in results if isinstance(r, BaseException)]
    assert kinds == [OverQuota, MailboxExists]
    assert len((await store.mail.open(alice, "INBOX")).uids) == 3
    assert len((await store.mail.open(alice, "newer")).uids) == 1
    assert await store.mail.usage(poor.id) == (0, 0)


async def test_a_fault_of_one_operation_does_not_harm_the_others(store: EmbeddedStore, alice: int) -> None:
    """Not even when only the index notices it, or when it had staged something already."""

    def bad_statement(batch: Batch) -> None:
        batch.execute("INSERT INTO domains VALUES (?)", ("example.test",))

    def bad_plan(batch: Batch) -> None:
        batch.execute("INSERT INTO domains VALUES (?)", ("never.test",))
        raise ZeroDivisionError

    results = await asyncio.gather(
        store.accept(Spool.of(message(1)), [Delivery(alice)]),
        store._writer.do(bad_statement),
        store.accept(Spool.of(message(2)), [Delivery(alice)]),
        store._writer.do(bad_plan),
        store.accept(Spool.of(message(3)), [Delivery(alice)]),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [type(None), StoreUnavailable, type(None), ZeroDivisionError, type(None)]
    view = await store.mail.open(alice, "INBOX")
    assert list(view.uids) == [1, 2, 3]
    assert store._near.execute("SELECT name FROM domains").fetchall() == [("example.test",)]


def refuse(error: Exception) -> Callable[..., int]:
    def refusing(*_: object) -> int:
        raise error

    return refusing


FAILURES = {
    "disk full": ("pwritev", OSError(errno.ENOSPC, "No space left on device")),
    "input/output error": ("fdatasync", OSError(errno.EIO, "Input/output error")),
}


@pytest.mark.parametrize("name", sorted(FAILURES))
async def test_what_the_disk_refuses_changes_nothing(
    store: EmbeddedStore, alice: int, folder: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    view = await store.mail.open(alice, "INBOX")
    before = await everything(store)
    told: list[Change] = []
    store.changes.watch(alice, told.append)
    function, error = FAILURES[name]
    with monkeypatch.context() as trouble:
        trouble.setattr(os, function, refuse(error))
        for _ in range(2):
            results = await asyncio.gather(
                store.accept(Spool.of(message(2)), [Delivery(alice)]),
                store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(3)))]),
                store.mail.store_flags(alice, view.mailbox, [1], StoreMode.ADD, frozenset({"\\Seen"})),
                store.accept(Spool.of(bytes(incoming.ALONE + 1)), [Delivery(alice)]),
                return_exceptions=True,
            )
            assert [type(r) for r in results] == [StoreUnavailable] * 4
            assert str(error) in str(results[0])
    assert await everything(store) == before
    assert told == []
    assert {event for event, _ in observed} == {"store_unavailable"}
    await store.accept(Spool.of(message(4)), [Delivery(alice)])
    assert list(view.uids) == [1, 2]
    after = await everything(store)
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert await everything(again) == after
    assert [p async for p in again.check.problems(repair=False)] == []
    await again.close()


async def test_an_index_that_cannot_grow(store: EmbeddedStore, alice: int, folder: Path) -> None:
    """SQLite's own "database or disk is full"."""
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    before = await everything(store)
    pages = store._index.pragma("page_count")
    store._index.pragma("max_page_count", pages)
    refusal = ""
    while not refusal:
        before = await everything(store)
        try:
            await store.accept(Spool.of(message(2)), [Delivery(alice)])
        except StoreUnavailable as error:
            refusal = str(error)
    assert "full" in refusal
    assert await everything(store) == before
    store._index.pragma("max_page_count", 2**31)
    await store.accept(Spool.of(message(5)), [Delivery(alice)])
    assert [p async for p in store.check.problems(repair=False)] == []


async def test_operations_see_those_before_them_in_the_batch(store: EmbeddedStore, alice: int) -> None:
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n))) for n in range(6)])
    view = await store.mail.open(alice, "INBOX")
    inbox, mail = view.mailbox, store.mail
    add, seen, flagged = StoreMode.ADD, frozenset({"\\Seen"}), frozenset({"\\Flagged"})
    first, second, gone, late, conflict, copied, moved, rest = await asyncio.gather(
        mail.store_flags(alice, inbox, [1, 2, 3], add, seen),
        mail.store_flags(alice, inbox, [3, 2, 6], add, flagged),
        mail.expunge(alice, inbox, [2], deleted_only=False),
        mail.store_flags(alice, inbox, [2, 4], add, seen),
        mail.store_flags(alice, inbox, [1, 5], add, flagged, unchanged_since=view.highestmodseq),
        mail.copy(alice, inbox, [3, 2, 1], "Archive"),
        mail.move(alice, inbox, [1, 2, 3], "Trash"),
        mail.expunge(alice, inbox, None, deleted_only=False),
    )
    assert (list(first.changed), list(second.changed)) == ([1, 2, 3], [3, 2, 6])
    assert (list(gone), list(late.changed)) == ([2], [4])
    assert (list(conflict.changed), list(conflict.failed)) == ([5], [1])
    assert (list(copied.source), list(moved.source), list(rest)) == ([3, 1], [1, 3], [4, 5, 6])
    archive = await mail.open(alice, "Archive")
    assert archive.flags_of(1) == seen | flagged
    assert archive.flags_of(2) == seen
    assert await mail.usage(alice) == (4 * len(message(0)), 4)
    assert list(await mail.expunged_since(alice, inbox, 0)) == [1, 2, 3, 4, 5, 6]


async def test_who_stops_waiting_does_not_stop_the_commit(store: EmbeddedStore, alice: int) -> None:
    task = asyncio.create_task(store.accept(Spool.of(message(1)), [Delivery(alice)]))
    while not store._writer._running:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.accept(Spool.of(message(2)), [Delivery(alice)])
    assert list((await store.mail.open(alice, "INBOX")).uids) == [1, 2]


async def test_the_next_operation_finds_a_commit_that_is_done_without_a_round_of_the_loop(
    store: EmbeddedStore, alice: int
) -> None:
    told: list[Change] = []
    store.changes.watch(alice, told.append)
    first = asyncio.create_task(store.accept(Spool.of(message(1)), [Delivery(alice)]))
    while not store._writer._running:
        await asyncio.sleep(0)
    while store._writer._done is None:
        time.sleep(0.001)  # the loop is busy with others
    assert told == []
    second = store.commit(lambda batch: batch.count("account"))
    second.send(None)
    assert len(told) == 1
    second.close()
    await first
    await store.accept(Spool.of(message(2)), [Delivery(alice)])
    assert list((await store.mail.open(alice, "INBOX")).uids) == [1, 2]
    assert len(told) == 2  # the thread's own call found nothing left


async def test_a_watcher_that_raises_costs_nobody_an_answer(store: EmbeddedStore, alice: int) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    store.changes.watch(alice, lambda _: 1 // 0)  # type: ignore[arg-type, return-value]
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    assert [type(r["exception"]) for r in reported] == [ZeroDivisionError]


async def test_no_reader_waits_for_the_writer(store: EmbeddedStore, alice: int, folder: Path) -> None:
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    view = await store.mail.open(alice, "INBOX")
    other = apsw.Connection(str(folder / "index.sqlite"))
    other.execute("BEGIN IMMEDIATE")  # someone is in the middle of a long commit
    assert await store.mail.octets(alice, view.mailbox, 1) == message(1)
    assert len(await store.mail.records(alice, view.mailbox, [1])) == 1
    other.execute("ROLLBACK")
    other.close()


async def test_octets_are_durable_before_the_index_refers_to_them(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store._index.pragma("synchronous") == 2  # FULL
    assert store._index.pragma("journal_mode") == "wal"
    order: list[str] = []
    pwritev, fdatasync = os.pwritev, os.fdatasync
    monkeypatch.setattr(os, "pwritev", lambda *given: order.append("write") or pwritev(*given))
    monkeypatch.setattr(os, "fdatasync", lambda file: order.append("sync") or fdatasync(file))
    store._index.set_commit_hook(lambda: bool(order.append("commit")))
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    assert order == ["write", "sync", "commit"]


async def test_when_the_commit_itself_fails_octets_stay(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it happened until the next one: a large message's own file must not go."""
    before = await everything(store)
    large = bytes(incoming.ALONE + 1)
    with monkeypatch.context() as trouble:

        class Index:
            """The connection, but its disk fails at the end."""

            in_transaction = property(lambda _: store._index.in_transaction)
            executemany = store._index.executemany

            def execute(self, sql: str, *row: object) -> object:
                if sql == "COMMIT":
                    raise apsw.IOError("disk I/O error")
                return store._index.execute(sql, *row)

        trouble.setattr(store._writer, "_connection", Index())
        for octets in (large, message(1)):
            with pytest.raises(StoreUnavailable, match="disk I/O error"):
                await store.accept(Spool.of(octets), [Delivery(alice)])
    assert await everything(store) == before
    assert sum(p.stat().st_size for p in (folder / "segments").iterdir()) > len(large)
    await store.accept(Spool.of(message(2)), [Delivery(alice)])
    assert list((await store.mail.open(alice, "INBOX")).uids) == [1]


async def test_a_fault_in_the_summary_costs_nobody_a_message(
    store: EmbeddedStore, alice: int, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object, **__: object) -> object:
        raise RecursionError("too deep")

    monkeypatch.setattr(summary, "summarise", faulty)
    await store.accept(Spool.of(message(1)), [Delivery(alice)])
    view = await store.mail.open(alice, "INBOX")
    assert await store.mail.octets(alice, view.mailbox, 1) == message(1)
    assert [(event, type(facts["error"])) for event, facts in observed] == [("summary_failed", RecursionError)]
