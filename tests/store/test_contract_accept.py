"""The contract of every home: taking responsibility for a message."""

import pytest
from tests.store.conftest import HASHES, message, put

from pillarbox.store.api import BadMailboxName, Delivery, OverQuota, Relay, Store
from pillarbox.store.changes import Change, QueueChanged
from pillarbox.store.spool import Spool


async def test_into_several_mailboxes_and_the_queue_at_once(store: Store, alice: int) -> None:
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    told: list[Change] = []
    store.changes.watch(0, told.append)
    deliveries = [Delivery(alice), Delivery(bob, "Lists/new", frozenset({"\\Seen"}))]
    relay = Relay("Q1", "alice@example.test", [("x@elsewhere.test", {})], alice)
    await store.accept(Spool.of(message(1)), deliveries, relay, trace_id="trace-7")
    inbox = await store.mail.open(alice, "INBOX")
    lists = await store.mail.open(bob, "Lists/new")
    for account, view in ((alice, inbox), (bob, lists)):
        assert await store.mail.octets(account, view.mailbox, 1) == message(1)
        record = (await store.mail.records(account, view.mailbox, [1]))[0]
        assert record is not None
        assert record.trace_id == "trace-7"
    assert lists.flags_of(1) == {"\\Seen"}
    assert await store.queue.content("Q1") == message(1)
    assert told == [QueueChanged()]


async def test_accounts_that_are_gone_are_left_out(store: Store, alice: int) -> None:
    await store.accept(Spool.of(message(1)), [Delivery(alice + 1000), Delivery(alice)])
    assert len((await store.mail.open(alice, "INBOX")).uids) == 1


async def test_refused_means_nothing_happened(store: Store, alice: int) -> None:
    full = (await store.directory.add_account("full@example.test", HASHES, quota=10)).id
    relay = Relay("Q1", "", [("x@elsewhere.test", {})])
    with pytest.raises(OverQuota):
        await store.accept(Spool.of(message(1)), [Delivery(alice), Delivery(full)], relay)
    with pytest.raises(BadMailboxName):
        await store.accept(Spool.of(message(1)), [Delivery(alice), Delivery(alice, "a//b")], relay)
    assert len((await store.mail.open(alice, "INBOX")).uids) == 0
    assert await store.queue.entries() == []
    assert await store.mail.usage(full) == (0, 0)


async def test_sent_copy_is_skipped_when_the_client_filed_its_own(store: Store, alice: int) -> None:
    copy = Delivery(alice, "Sent", frozenset({"\\Seen"}), sent_copy=True)
    await put(store, alice, "Sent", 1)  # message(0), by the client
    await store.accept(Spool.of(message(0)), [copy])
    await store.accept(Spool.of(message(1)), [copy])
    await store.accept(Spool.of(b"Subject: without Message-ID\r\n\r\n"), [copy])
    await store.accept(Spool.of(b"Subject: without Message-ID\r\n\r\n"), [copy])
    view = await store.mail.open(alice, "Sent")
    records = await store.mail.records(alice, view.mailbox, view.uids)
    assert [r.filed_by_server for r in records if r is not None] == [False, True, True, True]
    assert view.flags_of(2) == {"\\Seen"}


@pytest.mark.parametrize("size", [10, 600_000, 5_000_000])
async def test_the_authors_copy_may_be_another_version(store: Store, alice: int, size: int) -> None:
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    spool = store.spool()
    spool.write(b"\r\n" + b"x" * size + b"\r\n")
    spool.prepend(b"Message-ID: <1@example.test>\r\n")
    own = spool.with_other_head(b"Message-ID: <1@example.test>\r\nBcc: bob@example.test\r\n")
    copy = Delivery(alice, "Sent", sent_copy=True, version=own)
    relay = Relay("Q1", "alice@example.test", [("x@elsewhere.test", {})], alice)
    await store.accept(spool, [Delivery(bob), copy, Delivery(alice)], relay)
    await store.accept(spool, [copy])  # is there already
    sent = await store.mail.open(alice, "Sent")
    assert len(sent.uids) == 1
    assert await store.mail.octets(alice, sent.mailbox, 1) == own.octets()
    assert own.size == len(own.octets()) == spool.size + len(b"Bcc: bob@example.test\r\n")
    for account in (alice, bob):
        inbox = await store.mail.open(account, "INBOX")
        assert await store.mail.octets(account, inbox.mailbox, 1) == spool.octets()
    assert await store.queue.content("Q1") == spool.octets()
    assert await store.mail.usage(alice) == (spool.size + own.size, 2)
    own.discard()
    assert spool.octets().endswith(b"x\r\n")
    spool.discard()


async def test_a_version_counts_with_its_own_size(store: Store) -> None:
    spool = Spool.of(message(1))
    exact = (await store.directory.add_account("exact@example.test", HASHES, quota=2 * spool.size + 10)).id
    for more in (11, 10):
        deliveries = [Delivery(exact), Delivery(exact, "Sent", version=spool.with_other_head(b"y" * more))]
        if more == 11:
            with pytest.raises(OverQuota):
                await store.accept(spool, deliveries)
        else:
            await store.accept(spool, deliveries)
    assert await store.mail.usage(exact) == (2 * spool.size + 10, 2)


async def test_a_missing_sent_mailbox_comes_back_with_its_use(store: Store, alice: int) -> None:
    await store.mail.delete(alice, "Sent")
    await store.accept(Spool.of(message(0)), [Delivery(alice, "Sent", sent_copy=True)])
    found = {m.name: m for m in await store.mail.mailboxes(alice)}
    assert found["Sent"].special_use == "\\Sent"


async def test_the_spool_belongs_to_the_caller(store: Store, alice: int) -> None:
    spool = store.spool()
    spool.write(b"Subject: part one\r\n")
    spool.write(b"\r\nbody\r\n")
    spool.prepend(b"Received: here\r\n")
    await store.accept(spool, [Delivery(alice)])
    assert spool.octets() == b"Received: here\r\nSubject: part one\r\n\r\nbody\r\n"
    await store.accept(spool, [Delivery(alice)])
    spool.discard()
    view = await store.mail.open(alice, "INBOX")
    assert await store.mail.octets(alice, view.mailbox, 2) == b"Received: here\r\nSubject: part one\r\n\r\nbody\r\n"
