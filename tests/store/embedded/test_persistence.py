"""What was there is there after the store was closed and opened again; views equal what the index says at any time."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.conftest import HASHES, message

from pillarbox.store.api import Alias, Delivery, NewMessage, RecipientState, Relay, StoreMode, StoreUnavailable
from pillarbox.store.embedded import EmbeddedStore, incoming, views
from pillarbox.store.spool import Spool
from pillarbox.store.view import MailboxView


def contents(view: MailboxView) -> object:
    """All that a view says, flags as sets."""
    flags = [view.flag_table.sets[n] for n in view.flags]
    return (
        view.name, view.uidvalidity, view.uidnext, view.highestmodseq, view.object_id, list(view.uids), flags,
        list(view.modseqs), list(view.sizes), list(view.internaldates),
    )  # fmt: skip


async def everything(store: EmbeddedStore) -> object:
    """All that a store says."""
    said: list[object] = [await store.directory.domains(), await store.directory.aliases(), await store.queue.entries()]
    for account in await store.directory.accounts():
        number = account.id
        said += [account, await store.directory.hashes(number), await store.mail.usage(number)]
        said += [await store.mail.subscriptions(number), await store.mail.mailboxes(number)]
        for info in await store.mail.mailboxes(number):
            view = await store.mail.open_by_id(number, info.id)
            said += [contents(view), await store.mail.records(number, info.id, view.uids)]
            said += [[await store.mail.octets(number, info.id, uid) for uid in view.uids]]
            said += [await store.mail.expunged_since(number, info.id, 0)]
    return said


async def random_work(store: EmbeddedStore, account: int, chance: random.Random, steps: int) -> None:
    """Appends, flags, copies, moves and expunges."""
    for n in range(steps):
        name = chance.choice(["INBOX", "Archive", "Trash"])
        view = await store.mail.open(account, name)
        some: Sequence[int] = chance.sample(list(view.uids), min(len(view.uids), chance.randrange(1, 6)))
        match chance.randrange(6):
            case 0 | 1:
                flags = frozenset(chance.sample(["\\Seen", "$A", "b"], chance.randrange(3)))
                await store.mail.append(account, name, [NewMessage(Spool.of(message(n)), flags, n)])
            case 2 | 3:
                mode = chance.choice(list(StoreMode))
                flags = frozenset(chance.sample(["\\Seen", "\\Deleted", "$C"], chance.randrange(3)))
                await store.mail.store_flags(account, view.mailbox, some, mode, flags)
            case 4:
                await store.mail.copy(account, view.mailbox, some, "Archive")
            case 5 if chance.random() < 0.5:
                await store.mail.move(account, view.mailbox, some, "Trash")
            case _:
                await store.mail.expunge(account, view.mailbox, None)


async def test_everything_is_there_after_opening_again(store: EmbeddedStore, alice: int, folder: Path) -> None:
    await store.directory.add_account("bob@example.test", HASHES, quota=10_000)
    await store.directory.add_alias(Alias("all@example.test", ("alice@example.test", "bob@example.test")))
    await store.mail.create(alice, "a/b")
    await store.mail.subscribe(alice, "gone", subscribed=True)
    relay = Relay(
        "Q1", "alice@example.test", [("x@y.test", {"NOTIFY": "NEVER"}), ("z@y.test", {})], alice, {"RET": "HDRS"}
    )
    await store.accept(Spool.of(message(0)), [Delivery(alice), Delivery(2, "Junk")], relay, trace_id="t")
    (entry,) = await store.queue.due(9e9, 1)
    failed = replace(entry.recipients[0], state=RecipientState.FAILED, attempts=1, last_reply="550 5.1.1 no")
    await store.queue.update("Q1", [failed])
    await random_work(store, alice, random.Random(1), 60)
    before = await everything(store)
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert await everything(again) == before
    await again.close()


@pytest.mark.parametrize("seed", range(3))
async def test_packed_states_say_the_same(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """With states packed all the time, and a new view read from the index again and again."""
    monkeypatch.setattr(views, "_SMALL", 3)
    chance = random.Random(seed)
    for _ in range(8):
        await random_work(store, alice, chance, 15)
        for info in await store.mail.mailboxes(alice):
            view = await store.mail.open_by_id(alice, info.id)
            read, _ = views.read(store._near, store._state.mailbox(alice, info.id))
            assert contents(read) == contents(view)


async def test_a_long_log_is_packed_though_nobody_opens_the_mailbox(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens it, after a restart too, reads one blob and what came since, however much has arrived."""
    monkeypatch.setattr(views, "_SMALL", 3)
    for n in range(40):
        await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)))] * (1 + n % 2))
    mailbox = store._state.owner(alice).named("INBOX")
    while store._views._tasks:
        await asyncio.gather(*store._views._tasks)
    read, rows = views.read(store._near, mailbox)
    assert len(read.uids) == mailbox.messages == 60
    assert rows <= 60 // views._SHARE + 1
    assert contents(read) == contents(await store.mail.open(alice, "INBOX"))


async def test_a_state_that_cannot_be_packed_is_not_tried_with_each_commit(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_SMALL", 3)
    tried = 0

    def refuse(*_: object, **__: object) -> None:
        nonlocal tried
        tried += 1
        raise StoreUnavailable("no")

    monkeypatch.setattr(views, "stage_state", refuse)
    for n in range(40):
        await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)))])
        while store._views._tasks:
            await asyncio.gather(*store._views._tasks)
    assert 1 <= tried <= 10


async def test_a_view_that_is_being_read_catches_up(
    store: EmbeddedStore, alice: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await random_work(store, alice, random.Random(7), 40)
    await store.close()
    monkeypatch.setattr(views, "_SMALL", -1)  # every view is read by a thread
    again = await EmbeddedStore.open(folder)
    inbox = next(m for m in await again.mail.mailboxes(alice) if m.name == "INBOX")

    async def write(n: int) -> None:
        await again.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)))])

    for round_ in range(10):
        again._state.mailbox(alice, inbox.id).view = None
        again._views._kept.clear()
        opened, *_ = await asyncio.gather(again.mail.open(alice, "INBOX"), *[write(n) for n in range(round_)])
        assert opened is await again.mail.open(alice, "INBOX")
        read, _ = views.read(again._near, again._state.mailbox(alice, inbox.id))
        assert contents(read) == contents(opened)
    await again.close()


async def test_numbers_are_not_given_again(store: EmbeddedStore, alice: int, folder: Path) -> None:
    """Neither UIDVALIDITY, nor mailbox and account ids, after what had them is gone and the store was opened again."""
    created = await store.mail.create(alice, "x")
    await store.mail.delete(alice, "x")
    bob = await store.directory.add_account("bob@example.test", HASHES)
    await store.directory.remove_account(bob.id)
    await store.close()
    again = await EmbeddedStore.open(folder, clock=lambda: 5.0)  # the clock was set back
    new = await again.mail.create(alice, "x")
    assert new.uidvalidity > created.uidvalidity
    assert new.id > created.id
    assert (await again.directory.add_account("bob@example.test", HASHES)).id > bob.id
    await again.close()


async def test_recent_is_claimed_once(store: EmbeddedStore, alice: int, folder: Path) -> None:
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(b"\r\n"))] * 2)
    inbox = (await store.mail.open(alice, "INBOX")).mailbox
    assert await store.mail.claim_recent(alice, inbox) == 1
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert await again.mail.claim_recent(alice, inbox) == 3
    await again.close()


@pytest.mark.parametrize("size", [0, 1, incoming._IN_THREAD + 1, 700_000, incoming.ALONE, incoming.ALONE + 1])
async def test_octets_of_every_size_stay_the_same(store: EmbeddedStore, alice: int, folder: Path, size: int) -> None:
    octets = random.Random(size).randbytes(size)
    spool = store.spool()
    for i in range(0, size, 100_000):
        spool.write(octets[i : i + 100_000])
    await store.accept(spool, [Delivery(alice), Delivery(alice, "Archive")])
    spool.discard()
    await store.mail.append(alice, "Drafts", [NewMessage(Spool.of(octets))])
    await store.close()
    again = await EmbeddedStore.open(folder)
    for name in ("INBOX", "Archive", "Drafts"):
        view = await again.mail.open(alice, name)
        assert view.sizes[0] == size
        assert await again.mail.octets(alice, view.mailbox, 1) == octets
        assert await again.mail.octets(alice, view.mailbox, 1, size // 2, 10) == octets[size // 2 :][:10]
        assert await again.mail.octets(alice, view.mailbox, 1, size + 5) == b""
    await again.close()
