"""The contract of every home: what is published, when, and what the journal remembers."""

from tests.store.conftest import message, put

from pillarbox.store.api import Delivery, NewMessage, Store, StoreMode
from pillarbox.store.changes import Change, FlagsChanged, MailboxesChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.spool import Spool
from pillarbox.store.view import JOURNAL_LENGTH


async def test_each_change_is_told_in_order_of_modseq(store: Store, alice: int, seen: list[Change]) -> None:
    view, _ = await put(store, alice, "INBOX", 2)
    archive = await store.mail.open(alice, "Archive")
    await store.mail.store_flags(alice, view.mailbox, [2, 1], StoreMode.ADD, frozenset({"\\Seen"}), by="session-1")
    await store.mail.store_flags(alice, view.mailbox, [1, 2], StoreMode.ADD, frozenset({"\\Seen"}), by="session-1")
    await store.mail.move(alice, view.mailbox, [1], "Archive", by="session-1")
    await store.mail.expunge(alice, view.mailbox, None, deleted_only=False)
    await store.mail.create(alice, "new")
    await store.accept(Spool.of(message(5)), [Delivery(alice)])
    kinds = [(type(c), getattr(c, "mailbox", None), list(getattr(c, "uids", []))) for c in seen]
    assert kinds[:2] == [(MessagesAdded, view.mailbox, [1, 2]), (FlagsChanged, view.mailbox, [1, 2])]
    assert sorted(kinds[2:4], key=str) == [
        (MessagesAdded, archive.mailbox, [1]),
        (MessagesExpunged, view.mailbox, [1]),
    ]
    assert kinds[4:] == [
        (MessagesExpunged, view.mailbox, [2]),
        (MailboxesChanged, None, []),
        (MessagesAdded, view.mailbox, [3]),
    ]
    modseqs = [c.modseq for c in seen if not isinstance(c, type(None)) and hasattr(c, "modseq")]
    assert modseqs == sorted(modseqs)
    assert len(set(modseqs)) == 6  # one for each commit
    assert [c.by for c in seen if isinstance(c, FlagsChanged)] == ["session-1"]


async def test_whoever_is_told_finds_the_view_changed(store: Store, alice: int) -> None:
    view = await store.mail.open(alice, "INBOX")
    found: list[tuple[type[Change], list[int], int, bool]] = []

    def look(change: Change) -> None:
        if isinstance(change, MessagesAdded | FlagsChanged | MessagesExpunged):
            found.append((type(change), list(view.uids), view.highestmodseq - change.modseq, change in view.journal))

    store.changes.watch(alice, look)
    await put(store, alice, "INBOX", 2)
    await store.mail.store_flags(alice, view.mailbox, [1], StoreMode.ADD, frozenset({"\\Deleted"}))
    await store.mail.expunge(alice, view.mailbox, None)
    assert found == [
        (MessagesAdded, [1, 2], 0, True),
        (FlagsChanged, [1, 2], 0, True),
        (MessagesExpunged, [2], 0, True),
    ]


async def test_the_journal_says_how_far_back_it_reaches(store: Store, alice: int) -> None:
    view = await store.mail.open(alice, "INBOX")
    await put(store, alice, "INBOX", 1)
    assert view.journal_start < view.highestmodseq
    modseqs = []
    for n in range(JOURNAL_LENGTH + 10):
        mode = StoreMode.REMOVE if n % 2 else StoreMode.ADD
        modseqs.append((await store.mail.store_flags(alice, view.mailbox, [1], mode, frozenset({"x"}))).modseq)
    assert len(view.journal) == JOURNAL_LENGTH
    assert [c.modseq for c in view.journal] == modseqs[-JOURNAL_LENGTH:]
    assert view.journal_start == modseqs[-JOURNAL_LENGTH - 1]


async def test_nothing_happened_means_nothing_is_told(store: Store, alice: int, seen: list[Change]) -> None:
    view, _ = await put(store, alice, "INBOX", 1)
    seen.clear()
    await store.mail.store_flags(alice, view.mailbox, [1], StoreMode.REMOVE, frozenset({"\\Seen"}))
    await store.mail.store_flags(alice, view.mailbox, [9], StoreMode.ADD, frozenset({"\\Seen"}))
    await store.mail.expunge(alice, view.mailbox, None)
    await store.mail.copy(alice, view.mailbox, [9], "Archive")
    await store.mail.append(alice, "INBOX", [])
    assert seen == []


async def test_replacing_tells_both(store: Store, alice: int, seen: list[Change]) -> None:
    await put(store, alice, "Drafts", 1)
    seen.clear()
    await store.mail.append(alice, "Drafts", [NewMessage(Spool.of(message(2)), replaces=1)])
    assert {(type(c), tuple(getattr(c, "uids", ()))) for c in seen} == {(MessagesAdded, (2,)), (MessagesExpunged, (1,))}
    assert len({getattr(c, "modseq", 0) for c in seen}) == 1
