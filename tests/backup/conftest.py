"""A store with mail of all kinds, and a folder for its backups."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.conftest import HASHES, message

from pillarbox.store.api import Delivery, NewMessage, Relay, StoreMode
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.embedded.incoming import ALONE
from pillarbox.store.spool import Spool

LARGE = b"Subject: large\r\n\r\n" + b"x" * ALONE + b"\r\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory."""
    return tmp_path / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backups"


@pytest.fixture
async def store(data: Path) -> AsyncIterator[EmbeddedStore]:
    """Alice has ten messages in INBOX, one of them large, with flags; one waits in the queue; there is a key."""
    home = await EmbeddedStore.open(data)
    await home.directory.add_domain("example.test")
    alice = (await home.directory.add_account("alice@example.test", HASHES, quota=10**9)).id
    await home.directory.add_account("bob@example.test", HASHES)
    new = [NewMessage(Spool.of(message(n)), frozenset({"\\Seen", "work"}), 1000 + n) for n in range(9)]
    await home.mail.append(alice, "INBOX", [*new, NewMessage(Spool.of(LARGE))])
    inbox = await home.mail.open(alice, "INBOX")
    await home.mail.store_flags(alice, inbox.mailbox, [3], StoreMode.ADD, frozenset({"\\Flagged"}))
    await home.accept(Spool.of(message(50)), [Delivery(alice, "Lists")], Relay("Q1", "", [("x@y.test", {})]))
    (data / "access.key").write_bytes(b"k" * 32)
    yield home
    await home.close()


async def everything(store: EmbeddedStore) -> dict[str, object]:
    """All mail of a store as clients see it, and the queue."""
    found: dict[str, object] = {"queue": await store.queue.entries()}
    for account in await store.directory.accounts():
        found[account.address] = account
        for mailbox in await store.mail.mailboxes(account.id):
            view = await store.mail.open_by_id(account.id, mailbox.id)
            uids = list(view.uids)
            found[f"{account.address} {mailbox.name}"] = (
                view.uidvalidity,
                view.uidnext,
                [(uid, view.flags_of(uid), view.internaldates[view.index(uid)]) for uid in uids],
                await store.mail.email_ids(account.id, mailbox.id, uids),
                [await store.mail.octets(account.id, mailbox.id, uid) for uid in uids],
            )
    return found
