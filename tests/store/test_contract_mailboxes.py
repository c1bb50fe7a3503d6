"""The contract of every home: mailboxes, their names, their lives, subscriptions."""

import asyncio

import pytest

from pillarbox.store.api import (
    DEFAULT_MAILBOXES,
    BadMailboxName,
    MailboxExists,
    NewMessage,
    NoSuchAccount,
    NoSuchMailbox,
    Store,
    TooManyMailboxes,
)
from pillarbox.store.changes import Change, MailboxesChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.spool import Spool


async def names(store: Store, account: int) -> list[str]:
    return [m.name for m in await store.mail.mailboxes(account)]


async def test_a_new_account_has_the_default_mailboxes_subscribed(store: Store, alice: int) -> None:
    mailboxes = await store.mail.mailboxes(alice)
    assert mailboxes[0].name == "INBOX"
    assert {m.name: m.special_use for m in mailboxes} == DEFAULT_MAILBOXES
    assert [m.name for m in mailboxes[1:]] == sorted(m.name for m in mailboxes[1:])
    assert all(m.subscribed for m in mailboxes)
    assert await store.mail.subscriptions(alice) == [m.name for m in mailboxes]
    assert len({m.object_id for m in mailboxes}) == len({m.uidvalidity for m in mailboxes}) == len(mailboxes)


async def test_create_makes_parents_too(store: Store, alice: int) -> None:
    info = await store.mail.create(alice, "Lists/python/dev")
    assert info.name == "Lists/python/dev"
    assert not info.subscribed
    assert {"Lists", "Lists/python", "Lists/python/dev"} <= set(await names(store, alice))
    with pytest.raises(MailboxExists):
        await store.mail.create(alice, "Lists/python")


async def test_special_use_is_kept(store: Store, alice: int) -> None:
    await store.mail.create(alice, "Important", special_use="\\Flagged")
    found = {m.name: m for m in await store.mail.mailboxes(alice)}
    assert found["Important"].special_use == "\\Flagged"
    for name, info in found.items():
        assert (await store.mail.open(alice, name)).special_use == info.special_use


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", "a/../b", ".", "a\x00", "a\nb", "a\x7f", "x" * 1001, "/".join("a" * 51)]
)
async def test_names_that_cannot_be(store: Store, alice: int, name: str) -> None:
    with pytest.raises(BadMailboxName):
        await store.mail.create(alice, name)
    with pytest.raises(BadMailboxName):
        await store.mail.rename(alice, "Archive", name)
    with pytest.raises(NoSuchMailbox):
        await store.mail.open(alice, name)


async def test_inbox_in_any_case(store: Store, alice: int) -> None:
    assert (await store.mail.open(alice, "inbox")) is (await store.mail.open(alice, "InBox"))
    with pytest.raises(MailboxExists):
        await store.mail.create(alice, "Inbox")
    with pytest.raises(NoSuchMailbox):
        await store.mail.open(alice, "archive")  # other names are compared exactly
    assert (await store.mail.create(alice, "inbox/later")).name == "INBOX/later"


async def test_a_view_is_one_for_all(store: Store, alice: int) -> None:
    view = await store.mail.open(alice, "Archive")
    assert await store.mail.open(alice, "Archive") is view
    assert await store.mail.open_by_id(alice, view.mailbox) is view
    assert (view.account, view.name, view.uidnext) == (alice, "Archive", 1)
    assert view.highestmodseq >= 1


async def test_what_is_not_there(store: Store, alice: int) -> None:
    mail = store.mail
    for call in (mail.open(alice, "no"), mail.delete(alice, "no"), mail.rename(alice, "no", "yes")):
        with pytest.raises(NoSuchMailbox):
            await call
    for call in (mail.open_by_id(alice, 10**6), mail.claim_recent(alice, 10**6), mail.octets(alice, 10**6, 1)):
        with pytest.raises(NoSuchMailbox):
            await call
    with pytest.raises(NoSuchAccount):
        await mail.mailboxes(alice + 1000)
    with pytest.raises(NoSuchAccount):
        await mail.open(alice + 1000, "INBOX")


async def test_delete_leaves_children_and_inbox(store: Store, alice: int, seen: list[Change]) -> None:
    await store.mail.create(alice, "a/b")
    view = await store.mail.open(alice, "a")
    await store.mail.delete(alice, "a")
    assert {"a", "a/b"} & set(await names(store, alice)) == {"a/b"}
    with pytest.raises(NoSuchMailbox):
        await store.mail.open_by_id(alice, view.mailbox)
    last = seen[-1]
    assert isinstance(last, MailboxesChanged)
    assert list(last.deleted) == [view.mailbox]
    with pytest.raises(BadMailboxName):
        await store.mail.delete(alice, "INBOX")


async def test_a_name_that_comes_back_has_another_uidvalidity(store: Store, alice: int) -> None:
    given = set()
    for _ in range(4):
        info = await store.mail.create(alice, "phoenix")
        given.add((info.uidvalidity, info.id, info.object_id))
        await store.mail.delete(alice, "phoenix")
    assert [len({g[i] for g in given}) for i in range(3)] == [4, 4, 4]
    assert all(0 < validity < 2**32 for validity, _, _ in given)


async def test_rename_takes_children_along_and_keeps_uids(store: Store, alice: int, seen: list[Change]) -> None:
    await store.mail.create(alice, "a/b/c")
    await store.mail.create(alice, "ab")  # a longer name is no child
    await store.mail.append(alice, "a/b", [NewMessage(Spool.of(b"A: b\r\n\r\nc\r\n"))])
    before = {m.id: m for m in await store.mail.mailboxes(alice)}
    view = await store.mail.open(alice, "a/b")
    seen.clear()
    await store.mail.rename(alice, "a", "x/y")
    assert [type(c) for c in seen] == [MailboxesChanged]
    after = {m.name: m for m in await store.mail.mailboxes(alice)}
    assert {"x", "x/y", "x/y/b", "x/y/b/c", "ab"} <= set(after)
    assert not {"a", "a/b", "a/b/c"} & set(after)
    assert await store.mail.open(alice, "x/y/b") is view
    assert (view.name, list(view.uids)) == ("x/y/b", [1])
    for info in after.values():
        if info.id in before:
            assert (info.uidvalidity, info.object_id) == (before[info.id].uidvalidity, before[info.id].object_id)


async def test_renames_that_are_refused_change_nothing(store: Store, alice: int) -> None:
    await store.mail.create(alice, "a/c")
    await store.mail.create(alice, "b/c")
    await store.mail.delete(alice, "b")  # b/c lives on without its parent
    before = await store.mail.mailboxes(alice)
    for new, error in [
        ("Sent", MailboxExists),
        ("a", MailboxExists),
        ("inbox", MailboxExists),
        ("b", MailboxExists),  # the child a/c would become b/c
        ("a/sub", BadMailboxName),
    ]:
        with pytest.raises(error):
            await store.mail.rename(alice, "a", new)
    with pytest.raises(MailboxExists):
        await store.mail.rename(alice, "INBOX", "Sent")
    assert await store.mail.mailboxes(alice) == before


async def test_renaming_inbox_moves_its_messages(store: Store, alice: int, seen: list[Change]) -> None:
    await store.mail.create(alice, "INBOX/child")
    octets = b"Subject: one\r\n\r\ntext\r\n"
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(octets), frozenset({"\\Seen", "blue"}), 12345)])
    inbox = await store.mail.open(alice, "INBOX")
    seen.clear()
    await store.mail.rename(alice, "INBOX", "old/mail")
    assert await store.mail.open(alice, "INBOX") is inbox
    assert not inbox.uids
    assert inbox.uidnext == 2
    old = await store.mail.open(alice, "old/mail")
    assert (len(old.uids), old.internaldates[0]) == (1, 12345)
    assert old.flags_of(old.uids[0]) == {"\\Seen", "blue"}
    assert await store.mail.octets(alice, old.mailbox, old.uids[0]) == octets
    assert {"INBOX", "INBOX/child", "old", "old/mail"} <= set(await names(store, alice))
    assert {type(c) for c in seen} == {MailboxesChanged, MessagesAdded, MessagesExpunged}
    assert await store.mail.usage(alice) == (len(octets), 1)


async def test_subscriptions_outlive_mailboxes(store: Store, alice: int, seen: list[Change]) -> None:
    await store.mail.create(alice, "news")
    await store.mail.subscribe(alice, "news", subscribed=True)
    await store.mail.subscribe(alice, "not/yet", subscribed=True)
    await store.mail.delete(alice, "news")
    assert {"news", "not/yet"} <= set(await store.mail.subscriptions(alice))
    await store.mail.subscribe(alice, "Sent", subscribed=False)
    found = {m.name: m.subscribed for m in await store.mail.mailboxes(alice)}
    assert not found["Sent"]
    assert found["Drafts"]
    await store.mail.subscribe(alice, "not/yet", subscribed=False)
    assert "not/yet" not in await store.mail.subscriptions(alice)
    assert (await store.mail.create(alice, "news")).subscribed
    assert all(isinstance(c, MailboxesChanged) for c in seen)


async def test_accounts_do_not_see_each_other(store: Store, alice: int) -> None:
    from tests.store.conftest import HASHES

    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    info = await store.mail.create(alice, "private")
    with pytest.raises(NoSuchMailbox):
        await store.mail.open(bob, "private")
    with pytest.raises(NoSuchMailbox):
        await store.mail.open_by_id(bob, info.id)


async def test_mailboxes_and_subscriptions_are_bounded(
    store: Store, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has gone mad, or its owner, cannot make every LIST slow and the memory full."""
    monkeypatch.setattr("pillarbox.store.names.MAX_MAILBOXES", 10)
    outcomes = await asyncio.gather(
        *(store.mail.create(alice, f"M{n}") for n in range(30)), return_exceptions=True
    )  # fmt: skip
    assert sum(isinstance(outcome, TooManyMailboxes) for outcome in outcomes) == 30 - (10 - len(DEFAULT_MAILBOXES))
    assert len(await store.mail.mailboxes(alice)) == 10
    await store.mail.delete(alice, "M0")
    await store.mail.create(alice, "again")
    for number in range(10 - len(DEFAULT_MAILBOXES)):
        await store.mail.subscribe(alice, f"nowhere{number}", subscribed=True)
    with pytest.raises(TooManyMailboxes):
        await store.mail.subscribe(alice, "nowhere", subscribed=True)
    assert len(await store.mail.subscriptions(alice)) == 10
    await store.mail.subscribe(alice, "nowhere0", subscribed=False)
