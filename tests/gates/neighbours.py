"""Two accounts in one store: alice, whose things are marked, and bob, who wants them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.imap.client import NO_HASHES, PASSWORD, TLS, Client
from tests.imap.client import PlainCredentials as OneAccount
from tests.store.conftest import HOMES

from pillarbox.imap.engine import ImapEngine
from pillarbox.store.api import Account, Delivery, NewMessage, Relay, Store
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Link

ALICE, BOB = "alice@example.test", "bob@example.test"
MARK = "Zinnober"
"""In every text of alice's, and in none of bob's."""

MAILBOX, DEEP, UNSUBSCRIBED = f"{MARK}-plans", f"{MARK}-plans/{MARK}-deep", f"{MARK}-quiet"
LETTER = (
    f"From: {MARK} <alice@example.test>\r\nTo: {MARK}@example.test\r\nSubject: {MARK}\r\n"
    f"Message-ID: <{MARK}@example.test>\r\n\r\n{MARK}\r\n"
).encode()
BOBS_LETTER = b"From: bob@example.test\r\nSubject: of bob's own\r\nMessage-ID: <own@example.test>\r\n\r\nown\r\n"
QUEUE_ID = f"q{MARK}".lower()


@dataclass(frozen=True)
class Neighbours:
    """The store and its accounts. `ids` are the public names of alice's mailboxes, messages and threads."""

    store: Store
    alice: Account
    bob: Account
    ids: tuple[str, ...]
    thread_ids: tuple[str, ...]
    email_ids: tuple[str, ...]

    async def belongings(self) -> object:
        """Everything of alice's, to compare with later."""
        mail, account, found = self.store.mail, self.alice.id, []
        for info in await mail.mailboxes(account):
            view = await mail.open(account, info.name)
            found.append(
                (
                    (info, view.uidnext, view.highestmodseq),
                    [(uid, view.flags_of(uid), await mail.octets(account, info.id, uid)) for uid in view.uids],
                )
            )
        directory = self.store.directory
        return (
            found,
            sorted(await mail.subscriptions(account)),
            await mail.usage(account),
            await self.store.queue.entries(),
            await directory.account(ALICE),
            await directory.hashes(account),
            await directory.aliases(),
        )

    def bobs_client(self) -> Client:
        """An IMAP connection that only bob's password opens."""
        events: list[tuple[str, dict[str, object]]] = []
        link = Link(id="c1", tls=TLS, emit=lambda event, /, **facts: events.append((event, facts)))
        engine = ImapEngine(link, self.store, OneAccount(self.bob), nonce=lambda: "nonce", clock=lambda: 1.7e9)
        return Client(engine, events)

    async def bob_logged_in(self, select: str = "INBOX") -> Client:
        client = self.bobs_client()
        assert (await client.say(f'LOGIN {BOB} "{PASSWORD}"'))[-1].startswith("OK")
        if select:
            assert (await client.say(f"SELECT {select}"))[-1].startswith("OK")
        return client


async def _furnish(store: Store) -> Neighbours:
    await store.directory.add_domain("example.test")
    alice = await store.directory.add_account(ALICE, NO_HASHES)
    bob = await store.directory.add_account(BOB, NO_HASHES)
    mail = store.mail
    for name in (MAILBOX, DEEP, UNSUBSCRIBED):
        await mail.create(alice.id, name)
    for name in (MAILBOX, DEEP, f"{MARK}-gone"):
        await mail.subscribe(alice.id, name, subscribed=True)
    ids, emails, threads = [], [], []
    for name in ("INBOX", MAILBOX, DEEP):
        await mail.append(alice.id, name, [NewMessage(Spool.of(LETTER))] * 3)
        view = await mail.open(alice.id, name)
        ids.append(view.object_id)
        for record in await mail.records(alice.id, view.mailbox, view.uids):
            assert record is not None
            emails.append(record.email_id)
            threads.append(record.thread_id)
    await mail.append(bob.id, "INBOX", [NewMessage(Spool.of(BOBS_LETTER))])
    relay = Relay(QUEUE_ID, ALICE, [("carol@far.example", {})], account=alice.id)
    await store.accept(Spool.of(LETTER), [Delivery(alice.id, "Sent", sent_copy=True)], relay)
    return Neighbours(store, alice, bob, tuple(ids), tuple(filter(None, threads)), tuple(emails))


@asynccontextmanager
async def neighbours(home: str, directory: Path, *, untouched: bool = True) -> AsyncIterator[Neighbours]:
    """Both move into a fresh home of the store; whatever bob does inside the block, alice has everything afterwards."""
    open_home: Callable[[Path], Awaitable[Store]] = HOMES[home]
    store = await open_home(directory / "store")
    try:
        world = await _furnish(store)
        before = await world.belongings()
        yield world
        assert not untouched or await world.belongings() == before
    finally:
        await store.close()
