"""Damaged values in the index: whoever reads is told so by a StoreError, and nothing else ever leaves the store; fsck names
what cannot be read and mends what can be."""

import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest
from tests.store.conftest import HASHES, message

from pillarbox.store.api import (
    Alias,
    Bounce,
    Delivery,
    NewMessage,
    QueueRecipient,
    RecipientState,
    Relay,
    StoreError,
    StoreMode,
    StoreUnavailable,
)
from pillarbox.store.embedded import EmbeddedStore, views
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.views import stage_state
from pillarbox.store.spool import Spool

COUNT = 40


@pytest.fixture
async def filled(store: EmbeddedStore, alice: int, folder: Path) -> Path:
    """A store with everything in it, closed: a packed state and a log after it, tombstones, a queue."""
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    await store.directory.add_alias(Alias("office@example.test", ("alice@example.test",)))
    await store.mail.create(alice, "Work/Plans")
    await store.mail.subscribe(alice, "Work", subscribed=True)
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)), internaldate=n) for n in range(COUNT)])
    inbox = await store.mail.open(alice, "INBOX")
    await store.mail.store_flags(alice, inbox.mailbox, range(1, 20), StoreMode.ADD, frozenset({"\\Seen", "käse"}))
    await store.mail.expunge(alice, inbox.mailbox, [3, 4, 9], deleted_only=False)
    await store.commit(lambda batch: stage_state(batch, store._state.mailbox(alice, inbox.mailbox), inbox))
    await store.mail.store_flags(alice, inbox.mailbox, [5, 7], StoreMode.ADD, frozenset({"\\Flagged"}))
    await store.mail.expunge(alice, inbox.mailbox, [6], deleted_only=False)
    await store.mail.copy(alice, inbox.mailbox, range(10, 20), "Work/Plans")
    for n in range(3):
        await store.accept(
            Spool.of(message(n)), [Delivery(bob)], Relay(f"Q{n}", "", [("x@y.test", {"NOTIFY": "NEVER"})])
        )
    await store.close()
    return folder


async def uses(store: EmbeddedStore) -> list[Callable[[], Awaitable[object]]]:
    """All that can be asked of a store."""
    mail, queue, directory = store.mail, store.queue, store.directory
    found: list[Callable[[], Awaitable[object]]] = [
        directory.domains, directory.accounts, directory.aliases, lambda: directory.account("alice@example.test"),
        lambda: queue.due(2e9, 10), queue.next_due, queue.entries, lambda: queue.content("Q1"), lambda: queue.hold("Q1"),
        lambda: queue.retry(None, 1), lambda: queue.release("Q1", 1), lambda: queue.remove("Q2"),
        lambda: queue.update("Q0", [QueueRecipient(1, "x@y.test", RecipientState.FAILED)],
                             bounce=Bounce(Spool.of(b"x"), [Delivery(1)])),
        store._sweeper.sweep, store.indexer.status,
    ]  # fmt: skip
    for account in (1, 2):
        found += [lambda a=account: mail.mailboxes(a), lambda a=account: mail.usage(a)]  # type: ignore[misc]
        found += [lambda a=account: mail.subscriptions(a)]  # type: ignore[misc]
        try:
            boxes = await mail.mailboxes(account)
        except StoreError:
            continue
        for box in boxes:
            found += in_mailbox(store, account, box.id, box.name)
    return found


def in_mailbox(store: EmbeddedStore, account: int, box: int, name: str) -> list[Callable[[], Awaitable[object]]]:
    mail, uids = store.mail, list(range(1, COUNT + 1))
    return [
        lambda: mail.open(account, name), lambda: mail.claim_recent(account, box),
        lambda: mail.records(account, box, uids), lambda: mail.email_ids(account, box, uids),
        lambda: mail.listed(account, box, uids),
        lambda: mail.contents(account, box, uids), lambda: mail.octets(account, box, 2),
        lambda: mail.find_message_id(account, box, "<1@example.test>"), lambda: mail.expunged_since(account, box, 0),
        lambda: mail.store_flags(account, box, uids[:9], StoreMode.REPLACE, frozenset({"x"})),
        lambda: mail.append(account, name, [NewMessage(Spool.of(b"x"))]),
        lambda: mail.copy(account, box, uids[:5], "Archive"), lambda: mail.move(account, box, uids[5:8], "Archive"),
        lambda: mail.expunge(account, box, uids[:2], deleted_only=False),
    ]  # fmt: skip


async def use(folder: Path) -> int:
    """Do all of it; how much was refused. Fails on any exception but StoreError."""
    try:
        store = await EmbeddedStore.open(folder)
    except StoreError:
        return -1
    refused = 0
    try:
        for one in await uses(store):
            try:
                await one()
            except StoreError:
                refused += 1
        for repair in (False, True):
            try:
                assert all([isinstance(p, str) async for p in store.check.problems(repair=repair)])
            except StoreError:
                refused += 1
    finally:
        await store.close()
    return refused


async def test_nothing_is_refused_in_a_sound_store(filled: Path) -> None:
    assert await use(filled) == 0


def flipped(source: random.Random, value: bytes) -> bytes:
    octets = bytearray(value or b"\0")
    for _ in range(source.choice((1, 1, 8))):
        octets[source.randrange(len(octets))] ^= 1 << source.randrange(8)
    return bytes(octets[: source.randrange(len(octets) + 1)]) if source.random() < 0.2 else bytes(octets)


def damaged_value(source: random.Random, value: object) -> object:
    kind = source.random()
    if kind < 0.15:
        return source.choice((None, -1, 0, 2**62, -(2**63), 1.5, "no such thing", b"\xff\xfe", ""))
    if isinstance(value, bytes):
        return flipped(source, value)
    if isinstance(value, str):
        octets = flipped(source, value.encode())
        return octets if kind < 0.3 else octets.decode("utf-8", "replace")
    return value ^ (1 << source.randrange(62)) if isinstance(value, int) else 0


def damage_a_value(source: random.Random, index: Path) -> str:
    """Some value of some row; what was done."""
    connection = apsw.Connection(str(index))
    connection.pragma("ignore_check_constraints", True)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    weights = [6 if name in ("states", "changes", "expunges", "blobs", "messages") else 1 for name in tables]
    try:
        for _ in range(100):
            [table] = source.choices(tables, weights)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            if not rows:
                continue
            row, at = source.choice(rows), source.randrange(len(columns))
            new = damaged_value(source, row[at])
            where = " AND ".join(f"{name} IS ?" for name in columns)
            try:
                connection.execute(f"UPDATE {table} SET {columns[at]} = ? WHERE {where}", (new, *row))
            except apsw.Error:
                continue
            return f"{table}.{columns[at]}: {row[at]!r} -> {new!r}"
    finally:
        connection.close()
    raise AssertionError("nothing could be damaged")


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_values(seed: int, filled: Path, tmp_path: Path) -> None:
    source = random.Random(seed)
    for n in range(15):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(filled, copy)
        done = [damage_a_value(source, copy / INDEX_FILE) for _ in range(source.choice((1, 1, 3)))]
        try:
            await use(copy)
        except BaseException as error:
            error.add_note(f"seed {seed}, {n}: {done}")
            raise
        shutil.rmtree(copy)


@pytest.mark.parametrize("seed", range(2))
async def test_damaged_pages(seed: int, filled: Path, tmp_path: Path) -> None:
    source = random.Random(seed)
    for n in range(10):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(filled, copy)
        octets = bytearray((copy / INDEX_FILE).read_bytes())
        for _ in range(source.choice((1, 10, 100))):
            octets[source.randrange(len(octets))] ^= 1 << source.randrange(8)
        (copy / INDEX_FILE).write_bytes(octets)
        try:
            await use(copy)
        except BaseException as error:
            error.add_note(f"seed {seed}, {n}")
            raise
        shutil.rmtree(copy)


STATES = {
    "the state of alice@example.test's INBOX cannot be read": "UPDATE states SET arrays = zeroblob(length(arrays))",
    "a change of flags of alice@example.test's INBOX cannot be read": "UPDATE changes SET runs = zeroblob(7)",
    "an expunge of alice@example.test's INBOX cannot be read": "UPDATE expunges SET uids = zeroblob(5)",
}


@pytest.mark.parametrize("expected", STATES)
async def test_a_state_that_cannot_be_read_is_named_and_mended(expected: str, filled: Path) -> None:
    index = apsw.Connection(str(filled / INDEX_FILE))
    index.execute(STATES[expected])
    index.close()
    store = await EmbeddedStore.open(filled)
    with pytest.raises(StoreUnavailable, match="run `pillarbox fsck`"):
        await store.mail.open(1, "INBOX")
    assert any(expected in problem for problem in [p async for p in store.check.problems(repair=False)])
    found = [p async for p in store.check.problems(repair=True)]
    assert all(p.endswith(": repaired") for p in found if expected in p)
    assert [p async for p in store.check.problems(repair=True) if not p.endswith(": repaired")] == []
    assert [p async for p in store.check.problems(repair=False)] == []
    view = await store.mail.open(1, "INBOX")
    assert set(range(10, COUNT + 1)) <= set(view.uids)
    await store.close()


async def test_a_damaged_summary_is_worked_out_again(filled: Path) -> None:
    sound = await EmbeddedStore.open(filled)
    before, shown = await sound.mail.records(1, 1, [1, 2]), await sound.mail.listed(1, 1, range(1, COUNT + 1))
    await sound.close()
    index = apsw.Connection(str(filled / INDEX_FILE))
    index.execute("UPDATE blobs SET summary = substr(summary, 1, 30)")
    index.close()
    store = await EmbeddedStore.open(filled)
    assert await store.mail.records(1, 1, [1, 2]) == before
    assert await store.mail.listed(1, 1, range(1, COUNT + 1)) == shown
    await store.close()


def test_views_name_what_cannot_be_decoded(filled: Path) -> None:
    index = apsw.Connection(str(filled / INDEX_FILE))
    assert views.undecodable(index, 1) == []
    index.close()
