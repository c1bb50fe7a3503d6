"""The contract of every home: the durable queue."""

import time
from dataclasses import replace

import pytest
from tests.store.conftest import HASHES, message

from pillarbox.store.api import (
    Bounce,
    Delivery,
    NotFound,
    QueueEntry,
    RecipientState,
    Relay,
    Store,
)
from pillarbox.store.changes import Change, QueueChanged
from pillarbox.store.spool import Spool

LATER = 10_000_000_000.0
"""A time at which everything is due."""


async def enqueue(store: Store, name: str = "Q1", recipients: int = 2, n: int = 1) -> QueueEntry:
    paths = [(f"r{i}@elsewhere.test", {"NOTIFY": "NEVER"} if i else {}) for i in range(recipients)]
    await store.accept(Spool.of(message(n)), [], Relay(name, "alice@example.test", paths, 7, {"BODY": "8BITMIME"}))
    entry = await store.queue.entry(name)
    assert entry is not None
    return entry


async def test_an_entry_as_it_was_accepted(store: Store) -> None:
    before = time.time()
    entry = await enqueue(store)
    assert (entry.id, entry.reverse_path, entry.account, entry.size) == ("Q1", "alice@example.test", 7, len(message(1)))
    assert before - 2 <= entry.created <= time.time() + 2
    assert entry.parameters == {"BODY": "8BITMIME"}
    assert [(r.address, r.parameters) for r in entry.recipients] == [
        ("r0@elsewhere.test", {}),
        ("r1@elsewhere.test", {"NOTIFY": "NEVER"}),
    ]
    assert all(r.state is RecipientState.QUEUED and r.attempts == 0 for r in entry.recipients)
    assert len({r.id for r in entry.recipients}) == 2
    assert await store.queue.entries() == [entry]
    assert await store.queue.content("Q1", 6, 10) == message(1)[6:16]
    assert await store.queue.entry("no") is None
    assert await store.queue.content("no") is None


async def test_due_leases(store: Store) -> None:
    entry = await enqueue(store)
    assert await store.queue.next_due() is not None
    assert await store.queue.due(LATER, 10) == [entry]
    assert await store.queue.due(LATER, 10) == []
    assert await store.queue.next_due() is None
    await store.queue.update("Q1", [])
    assert await store.queue.due(LATER, 10) == [entry]


async def test_due_respects_time_and_limit(store: Store) -> None:
    for n in range(5):
        await enqueue(store, f"Q{n}", recipients=1)
    assert await store.queue.due(1.0, 10) == []
    for entry in await store.queue.due(LATER, 10):
        delayed = replace(entry.recipients[0], next_attempt=1000.0 - int(entry.id[1]))
        await store.queue.update(entry.id, [delayed])
    assert await store.queue.next_due() == 996.0
    assert [e.id for e in await store.queue.due(998.0, 2)] == ["Q4", "Q3"]
    assert [e.id for e in await store.queue.due(998.0, 2)] == ["Q2"]
    assert await store.queue.next_due() == 999.0


async def test_outcomes_are_kept_until_all_is_done(store: Store) -> None:
    entry = await enqueue(store, recipients=3)
    first, second, third = entry.recipients
    await store.queue.due(LATER, 1)
    delivered = replace(first, state=RecipientState.DELIVERED, attempts=1, last_reply="250 2.0.0 ok")
    deferred = replace(second, attempts=1, next_attempt=5000.5, last_reply="451 4.0.0 no", delay_notified=True)
    await store.queue.update("Q1", [deferred, delivered])
    kept = await store.queue.entry("Q1")
    assert kept is not None
    assert kept.recipients == (delivered, deferred, third)
    failed = replace(deferred, state=RecipientState.FAILED, attempts=2)
    await store.queue.update("Q1", [failed])
    await store.queue.update("Q1", [replace(third, state=RecipientState.DELIVERED)])
    assert await store.queue.entry("Q1") is None
    assert await store.queue.content("Q1") is None
    assert await store.queue.next_due() is None
    with pytest.raises(NotFound):
        await store.queue.update("Q1", [])


async def test_a_lease_can_be_kept_while_outcomes_come_in(store: Store) -> None:
    entry = await enqueue(store)
    await store.queue.due(LATER, 1)
    delivered = replace(entry.recipients[0], state=RecipientState.DELIVERED)
    await store.queue.update("Q1", [delivered], keep_lease=True)
    assert await store.queue.due(LATER, 1) == []
    kept = await store.queue.entry("Q1")
    assert kept is not None
    assert kept.recipients[0] == delivered
    await store.queue.update("Q1", [])
    assert [e.id for e in await store.queue.due(LATER, 1)] == ["Q1"]


async def test_a_bounce_comes_with_the_outcome(store: Store, alice: int) -> None:
    full = (await store.directory.add_account("full@example.test", HASHES, quota=10)).id
    entry = await enqueue(store, recipients=1)
    failed = replace(entry.recipients[0], state=RecipientState.FAILED)
    bounce = Bounce(
        Spool.of(message(9)), [Delivery(alice), Delivery(full)], Relay("B1", "", [("postmaster@elsewhere.test", {})])
    )
    await store.queue.update("Q1", [failed], bounce=bounce)
    assert [e.id for e in await store.queue.entries()] == ["B1"]
    for account in (alice, full):  # a bounce is delivered even over quota
        view = await store.mail.open(account, "INBOX")
        assert await store.mail.octets(account, view.mailbox, 1) == message(9)
    assert await store.queue.content("B1") == message(9)


async def test_a_bounce_for_what_was_removed_is_not_sent(store: Store, alice: int) -> None:
    entry = await enqueue(store, recipients=1)
    await store.queue.remove("Q1")
    failed = replace(entry.recipients[0], state=RecipientState.FAILED)
    with pytest.raises(NotFound):
        await store.queue.update("Q1", [failed], bounce=Bounce(Spool.of(message(9)), [Delivery(alice)]))
    assert len((await store.mail.open(alice, "INBOX")).uids) == 0


async def test_hold_and_release(store: Store) -> None:
    await enqueue(store)
    await store.queue.hold("Q1")
    assert await store.queue.due(LATER, 10) == []
    assert await store.queue.retry(None, 5.0) == 0
    entry = await store.queue.entry("Q1")
    assert entry is not None
    assert {r.state for r in entry.recipients} == {RecipientState.HELD}
    told: list[Change] = []
    store.changes.watch(0, told.append)
    await store.queue.release("Q1", 77.0)
    assert told == [QueueChanged()]
    assert await store.queue.next_due() == 77.0
    for call in (store.queue.hold("no"), store.queue.release("no", 1.0), store.queue.remove("no")):
        with pytest.raises(NotFound):
            await call


async def test_what_is_held_during_an_attempt_stays_held(store: Store) -> None:
    entry = await enqueue(store)
    first, second = entry.recipients
    await store.queue.due(LATER, 1)
    await store.queue.hold("Q1")
    outcomes = [replace(first, attempts=1, next_attempt=9.0), replace(second, state=RecipientState.DELIVERED)]
    await store.queue.update("Q1", outcomes)
    kept = await store.queue.entry("Q1")
    assert kept is not None
    assert [r.state for r in kept.recipients] == [RecipientState.HELD, RecipientState.DELIVERED]
    assert kept.recipients[0].attempts == 1


async def test_retry_makes_it_due(store: Store) -> None:
    for name in ("Q1", "Q2"):
        entry = await enqueue(store, name)
        await store.queue.update(name, [replace(r, next_attempt=9e9) for r in entry.recipients])
    told: list[Change] = []
    store.changes.watch(0, told.append)
    assert await store.queue.retry("Q2", 50.0) == 2
    assert [e.id for e in await store.queue.due(50.0, 10)] == ["Q2"]
    assert await store.queue.retry(None, 51.0) == 4
    assert await store.queue.retry("no", 51.0) == 0
    assert told
    assert await store.queue.next_due() == 51.0


async def test_remove(store: Store) -> None:
    await enqueue(store)
    await store.queue.remove("Q1")
    assert await store.queue.entries() == []
    assert await store.queue.next_due() is None
