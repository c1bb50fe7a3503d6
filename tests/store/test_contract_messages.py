"""The contract of every home: messages in mailboxes; UIDs, flags, modseqs, copies, quota."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.store.conftest import HASHES, message, put

from pillarbox.mail.summary import listed
from pillarbox.store.api import NewMessage, NoSuchAccount, NoSuchMailbox, OverQuota, Store, StoreMode
from pillarbox.store.spool import IN_MEMORY, Spool


async def test_append_gives_uids_in_order(store: Store, alice: int) -> None:
    new = [NewMessage(Spool.of(message(n)), frozenset({"\\Seen", f"k{n}"}), 1000 - n) for n in range(3)]
    appended = await store.mail.append(alice, "Archive", new)
    view = await store.mail.open(alice, "Archive")
    assert (appended.mailbox, appended.uidvalidity, list(appended.uids)) == (view.mailbox, view.uidvalidity, [1, 2, 3])
    assert list(view.uids) == [1, 2, 3]
    assert list(view.internaldates) == [1000, 999, 998]  # the order of UIDs is the order of arrival, not of dates
    assert list(view.sizes) == [len(message(n)) for n in range(3)]
    assert [view.flags_of(u) for u in view.uids] == [{"\\Seen", f"k{n}"} for n in range(3)]
    assert view.uidnext == 4
    for n, uid in enumerate(view.uids):
        assert await store.mail.octets(alice, view.mailbox, uid) == message(n)


async def test_append_is_all_or_none(store: Store) -> None:
    owner = (await store.directory.add_account("small@example.test", HASHES, quota=1000)).id
    with pytest.raises(OverQuota):
        await store.mail.append(owner, "INBOX", [NewMessage(Spool.of(b"x" * 400)) for _ in range(3)])
    view = await store.mail.open(owner, "INBOX")
    assert (len(view.uids), view.uidnext) == (0, 1)
    assert await store.mail.usage(owner) == (0, 0)
    assert list((await store.mail.append(owner, "INBOX", [NewMessage(Spool.of(b"x" * 1000))])).uids) == [1]
    with pytest.raises(NoSuchMailbox):
        await store.mail.append(owner, "no", [NewMessage(Spool.of(b"x"))])
    with pytest.raises(NoSuchAccount):
        await store.mail.append(owner + 1000, "INBOX", [NewMessage(Spool.of(b"x"))])


async def test_append_of_nothing(store: Store, alice: int) -> None:
    assert list((await store.mail.append(alice, "INBOX", [])).uids) == []


async def test_append_replaces(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "Drafts", 2)
    await store.mail.append(alice, "Drafts", [NewMessage(Spool.of(message(9)), replaces=uids[0])])
    assert list(view.uids) == [2, 3]
    assert list(await store.mail.expunged_since(alice, view.mailbox, 0)) == [1]
    await store.mail.append(alice, "Drafts", [NewMessage(Spool.of(message(8)), replaces=uids[0])])  # it is gone already
    assert list(view.uids) == [2, 3, 4]
    assert await store.mail.usage(alice) == (len(message(1) + message(9) + message(8)), 3)


async def test_octets_are_exact_and_in_parts(store: Store, alice: int) -> None:
    octets = bytes(range(256)) * 10 + b"\r\n.\r\nno end of line"
    large = bytes(range(251)) * (IN_MEMORY // 100)
    spool = store.spool()
    for start in range(0, len(large), 70_001):
        spool.write(large[start : start + 70_001])
    spool.prepend(b"Received: by us\r\n")
    for content in (Spool.of(octets), Spool.of(b""), spool):
        await store.mail.append(alice, "INBOX", [NewMessage(content)])
    spool.discard()
    box = (await store.mail.open(alice, "INBOX")).mailbox
    large = b"Received: by us\r\n" + large
    for uid, whole in ((1, octets), (2, b""), (3, large)):
        assert await store.mail.octets(alice, box, uid) == whole
        for start, length in ((0, 0), (0, 5), (7, 300), (len(whole) - 3, 10), (len(whole), 4), (len(whole) + 9, 1)):
            start = max(start, 0)
            assert await store.mail.octets(alice, box, uid, start, length) == whole[start : start + length]
        assert await store.mail.octets(alice, box, uid, 3) == whole[3:]
    assert await store.mail.octets(alice, box, 4) is None
    assert await store.mail.contents(alice, box, [3, 9, 1, 2, 1]) == [large, None, octets, b"", octets]
    assert await store.mail.contents(alice, box, [1, 2, 3], [10, 5, 0]) == [octets[:10], b"", b""]
    assert await store.mail.contents(alice, box, []) == []


async def test_records(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "INBOX", 2)
    first, gone, second = await store.mail.records(alice, view.mailbox, [uids[0], 99, uids[1]])
    assert gone is None
    assert first is not None
    assert second is not None
    assert first.uid == uids[0]
    assert first.summary.message_id == "<0@example.test>"
    assert first.summary.header_size == message(0).index(b"\r\n\r\n") + 4
    assert first.email_id != second.email_id
    assert first.email_id.isascii()
    assert first.email_id.isalnum()
    assert first.thread_id
    assert not first.filed_by_server
    assert await store.mail.records(alice, view.mailbox, []) == []


async def test_records_of_what_is_gone_are_gone(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "INBOX", 4)
    before = await store.mail.records(alice, view.mailbox, uids[1:3])
    await store.mail.expunge(alice, view.mailbox, uids[2:3], deleted_only=False)
    after = await store.mail.records(alice, view.mailbox, uids)
    assert after[1] == before[0]
    assert [record is None for record in after] == [False, False, True, False]
    assert await store.mail.records(alice, view.mailbox, uids) == after


async def test_what_is_listed_is_of_the_records(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "INBOX", 100)
    asked: Sequence[int]
    for gone in ([], [uids[1], uids[50]], [uids[0], uids[-1]]):
        await store.mail.expunge(alice, view.mailbox, gone, deleted_only=False)
        for asked in (view.uids, uids, [*uids, 999], uids[::-1], uids[::-7], uids[:70], [uids[1]], []):
            records = await store.mail.records(alice, view.mailbox, asked)
            assert await store.mail.listed(alice, view.mailbox, asked) == [r and listed(r.summary) for r in records]


async def test_email_ids_are_those_of_the_records(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "INBOX", 100)
    await store.mail.expunge(alice, view.mailbox, [uids[1], uids[50]], deleted_only=False)
    for asked in ([*uids, 999], uids[::-7], [uids[1]], []):
        records = await store.mail.records(alice, view.mailbox, asked)
        assert await store.mail.email_ids(alice, view.mailbox, asked) == [r and r.email_id for r in records]


async def test_copy_and_move_keep_order_flags_and_dates(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 4)
    await store.mail.store_flags(alice, view.mailbox, [3], StoreMode.REPLACE, frozenset({"\\Flagged", "$Work"}))
    archive = await store.mail.open(alice, "Archive")
    copied = await store.mail.copy(alice, view.mailbox, [3, 77, 1, 3], "Archive")
    assert (copied.uidvalidity, list(copied.source), list(copied.target)) == (archive.uidvalidity, [3, 1], [1, 2])
    moved = await store.mail.move(alice, view.mailbox, [4, 2], "Archive")
    assert (list(moved.source), list(moved.target)) == ([4, 2], [3, 4])
    assert list(view.uids) == [1, 3]
    assert [await store.mail.octets(alice, archive.mailbox, u) for u in (1, 2, 3, 4)] == [
        message(n) for n in (2, 0, 3, 1)
    ]
    assert archive.flags_of(1) == {"\\Flagged", "$Work"}
    assert archive.flags_of(2) == frozenset()
    assert list(archive.internaldates) == [1002, 1000, 1003, 1001]


async def test_uids_are_never_reused(store: Store, alice: int) -> None:
    view, uids = await put(store, alice, "INBOX", 3)
    await store.mail.expunge(alice, view.mailbox, None, deleted_only=False)
    assert list(view.uids) == []
    assert view.uidnext == 4
    _, uids = await put(store, alice, "INBOX", 1)
    assert list(uids) == [4]


async def test_email_id_goes_along_and_is_never_reused(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 1)
    original = (await store.mail.records(alice, view.mailbox, [1]))[0]
    await store.mail.copy(alice, view.mailbox, [1], "Archive")
    await store.mail.move(alice, view.mailbox, [1], "Trash")
    for name in ("Archive", "Trash"):
        box = await store.mail.open(alice, name)
        record = (await store.mail.records(alice, box.mailbox, [1]))[0]
        assert original is not None
        assert record is not None
        assert (record.email_id, record.thread_id) == (original.email_id, original.thread_id)
    again, _ = await put(store, alice, "INBOX", 1)  # the same octets, but another arrival
    record = (await store.mail.records(alice, again.mailbox, [2]))[0]
    assert record is not None
    assert original is not None
    assert record.email_id != original.email_id


async def test_move_within_one_mailbox_gives_new_uids(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 3)
    moved = await store.mail.move(alice, view.mailbox, [2, 1], "INBOX")
    assert (list(moved.source), list(moved.target)) == ([2, 1], [4, 5])
    assert list(view.uids) == [3, 4, 5]
    assert [await store.mail.octets(alice, view.mailbox, u) for u in view.uids] == [message(n) for n in (2, 1, 0)]
    assert list(await store.mail.expunged_since(alice, view.mailbox, 0)) == [1, 2]
    assert (await store.mail.usage(alice))[1] == 3


async def test_move_of_what_is_gone(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 1)
    before = view.highestmodseq
    for call in (store.mail.move, store.mail.copy):
        nothing = await call(alice, view.mailbox, [7, 8], "Trash")
        assert (list(nothing.source), list(nothing.target)) == ([], [])
        with pytest.raises(NoSuchMailbox):
            await call(alice, view.mailbox, [1], "no such")
    assert list(view.uids) == [1]
    assert view.highestmodseq == before


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        (StoreMode.REPLACE, {"\\Flagged"}, {"\\Flagged"}),
        (StoreMode.REPLACE, set(), set()),
        (StoreMode.ADD, {"\\Flagged", "\\Seen"}, {"\\Flagged", "\\Seen", "Blue"}),
        (StoreMode.ADD, {"BLUE"}, {"\\Seen", "Blue"}),  # keywords are compared without regard to case
        (StoreMode.REMOVE, {"blue", "\\seen", "\\Draft"}, set()),
        (StoreMode.REMOVE, set(), {"\\Seen", "Blue"}),
    ],
)
async def test_flags(store: Store, alice: int, mode: StoreMode, given: set[str], expected: set[str]) -> None:
    new = NewMessage(Spool.of(message(1)), frozenset({"\\Seen", "Blue"}))
    await store.mail.append(alice, "INBOX", [new])
    view = await store.mail.open(alice, "INBOX")
    before = view.modseqs[0]
    stored = await store.mail.store_flags(alice, view.mailbox, [1, 9], mode, frozenset(given))
    assert view.flags_of(1) == expected
    if expected == {"\\Seen", "Blue"}:
        assert (list(stored.changed), list(stored.unchanged), view.modseqs[0]) == ([], [1], before)
    else:
        assert (list(stored.changed), list(stored.unchanged)) == ([1], [])
        assert stored.modseq == view.modseqs[0] == view.highestmodseq > before
    assert list(stored.failed) == []


async def test_unchanged_since(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 4)
    first = view.highestmodseq
    await store.mail.store_flags(alice, view.mailbox, [2], StoreMode.ADD, frozenset({"\\Seen"}))
    stored = await store.mail.store_flags(
        alice, view.mailbox, [1, 2, 3, 9], StoreMode.ADD, frozenset({"\\Seen"}), unchanged_since=first
    )
    assert (list(stored.changed), list(stored.unchanged), list(stored.failed)) == ([1, 3], [], [2])
    stored = await store.mail.store_flags(
        alice, view.mailbox, [4], StoreMode.ADD, frozenset({"\\Seen"}), unchanged_since=0
    )
    assert list(stored.failed) == [4]
    assert view.flags_of(4) == frozenset()


async def test_modseqs_only_grow_across_mailboxes(store: Store, alice: int) -> None:
    inbox, _ = await put(store, alice, "INBOX", 2)
    given = [inbox.highestmodseq]
    archive, _ = await put(store, alice, "Archive", 1)
    given.append(archive.highestmodseq)
    await store.mail.copy(alice, archive.mailbox, [1], "INBOX")
    given.append(inbox.highestmodseq)
    await store.mail.store_flags(alice, archive.mailbox, [1], StoreMode.ADD, frozenset({"x"}))
    given.append(archive.highestmodseq)
    await store.mail.expunge(alice, inbox.mailbox, [1], deleted_only=False)
    given.append(inbox.highestmodseq)
    assert given == sorted(set(given))
    assert list(inbox.changed_since(given[1])) == [3]


async def test_expunge_takes_only_what_is_marked(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 5)
    old = view.uids
    await store.mail.store_flags(alice, view.mailbox, [2, 3, 5], StoreMode.ADD, frozenset({"\\Deleted"}))
    before = view.highestmodseq
    assert list(await store.mail.expunge(alice, view.mailbox, [1, 2, 99])) == [2]
    assert list(await store.mail.expunge(alice, view.mailbox, None)) == [3, 5]
    assert list(await store.mail.expunge(alice, view.mailbox, None)) == []
    assert list(await store.mail.expunge(alice, view.mailbox, [1], deleted_only=False)) == [1]
    assert list(view.uids) == [4]
    assert list(old) == [1, 2, 3, 4, 5]  # a session's snapshot is never touched
    assert list(await store.mail.expunged_since(alice, view.mailbox, before)) == [1, 2, 3, 5]
    assert list(await store.mail.expunged_since(alice, view.mailbox, view.highestmodseq)) == []
    assert (await store.mail.usage(alice))[1] == 1


async def test_recent_is_claimed_once(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 2)
    assert await store.mail.first_recent(alice, view.mailbox) == 1
    assert await store.mail.claim_recent(alice, view.mailbox) == 1
    assert await store.mail.first_recent(alice, view.mailbox) == 3
    assert await store.mail.claim_recent(alice, view.mailbox) == 3
    await put(store, alice, "INBOX", 1)
    assert await store.mail.claim_recent(alice, view.mailbox) == 3
    assert await store.mail.claim_recent(alice, view.mailbox) == 4


async def test_find_message_id(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 3)
    await store.mail.copy(alice, view.mailbox, [2], "INBOX")
    assert list(await store.mail.find_message_id(alice, view.mailbox, "<1@example.test>")) == [2, 4]
    assert list(await store.mail.find_message_id(alice, view.mailbox, "<none@example.test>")) == []
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(b"no header at all"))])
    assert list(await store.mail.find_message_id(alice, view.mailbox, "")) in ([], [5])


async def test_quota_follows_every_change(store: Store) -> None:
    size = len(message(0))
    owner = (await store.directory.add_account("tight@example.test", HASHES, quota=3 * size)).id
    view, _ = await put(store, owner, "INBOX", 2)
    await store.mail.copy(owner, view.mailbox, [1], "Archive")
    assert await store.mail.usage(owner) == (3 * size, 3)
    with pytest.raises(OverQuota):
        await store.mail.copy(owner, view.mailbox, [1], "Archive")
    await store.mail.move(owner, view.mailbox, [1, 2], "Trash")  # moving needs no room
    assert await store.mail.usage(owner) == (3 * size, 3)
    await store.mail.delete(owner, "Trash")
    assert await store.mail.usage(owner) == (size, 1)
    await store.mail.append(owner, "Archive", [NewMessage(Spool.of(b"x" * 3 * size), replaces=1)])
    assert await store.mail.usage(owner) == (3 * size, 1)


async def test_counts_of_the_view(store: Store, alice: int) -> None:
    view, _ = await put(store, alice, "INBOX", 3)
    await store.mail.store_flags(alice, view.mailbox, [1, 2], StoreMode.ADD, frozenset({"\\Seen"}))
    await store.mail.store_flags(alice, view.mailbox, [2], StoreMode.ADD, frozenset({"\\Deleted", "blue"}))
    assert (view.unseen, view.deleted, view.count("blue")) == (1, 1, 1)
    assert "blue" in view.flag_table.keywords


async def test_many_here_and_there(store: Store, alice: int) -> None:
    """So many that they are looked for in one pass; STORE, COPY, EXPUNGE, and what a further change in the same breath sees."""
    view, uids = await put(store, alice, "INBOX", 4000)
    third, gone = uids[1::3], set(uids[1::3])
    stored = store.mail.store_flags(alice, view.mailbox, third, StoreMode.ADD, frozenset({"\\Deleted"}))
    both = store.mail.store_flags(alice, view.mailbox, uids[::2], StoreMode.ADD, frozenset({"\\Seen"}))
    assert [list(done.changed) for done in await asyncio.gather(stored, both)] == [third, uids[::2]]
    for uid in uids[:20]:
        assert view.flags_of(uid) == {"\\Deleted"} & {"\\Deleted" * (uid in gone)} | {"\\Seen"} & {"\\Seen" * (uid % 2)}
    copied = await store.mail.copy(alice, view.mailbox, third, "Archive")
    assert (list(copied.source), list(copied.target)) == (third, list(range(1, len(third) + 1)))
    archive = await store.mail.open(alice, "Archive")
    for old, new in zip(third[:20], copied.target, strict=False):
        assert archive.flags_of(new) == view.flags_of(old)
        assert await store.mail.octets(alice, archive.mailbox, new) == message(old - 1)
    assert list(await store.mail.expunge(alice, view.mailbox, uids)) == third
    assert list(view.uids) == [uid for uid in uids if uid not in gone]
    backwards = list(reversed(view.uids[::2]))
    assert list((await store.mail.copy(alice, view.mailbox, backwards, "Archive")).source) == backwards
    assert list(archive.sizes[-3:]) == [len(message(uid - 1)) for uid in backwards[-3:]]
