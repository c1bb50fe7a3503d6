"""Homes of the store for the contract tests, and what they share."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import NewMessage, PasswordHashes, Store
from pillarbox.store.changes import Change
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool
from pillarbox.store.view import MailboxView

HASHES = PasswordHashes("$argon2id$not-a-real-one", ScramKeys(b"salt", 4096, b"stored", b"server"))


def message(n: int) -> bytes:
    """A small message; all of them have the same size."""
    return b"From: a@example.test\r\nMessage-ID: <%d@example.test>\r\nSubject: %03d\r\n\r\ntext\r\n" % (n, n)


async def put(store: Store, account: int, mailbox: str, count: int) -> tuple[MailboxView, list[int]]:
    """Append `message(0)` and so on, one second apart; returns the view and the UIDs."""
    new = [NewMessage(Spool.of(message(n)), internaldate=1000 + n) for n in range(count)]
    appended = await store.mail.append(account, mailbox, new)
    return await store.mail.open(account, mailbox), list(appended.uids)


async def _memory(_directory: Path) -> Store:
    return MemoryStore()


HOMES: dict[str, Callable[[Path], Awaitable[Store]]] = {"embedded": EmbeddedStore.open, "memory": _memory}


@pytest.fixture(params=sorted(HOMES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """One home after the other, empty but for the domain example.test."""
    home = await HOMES[request.param](tmp_path / "store")
    await home.directory.add_domain("example.test")
    yield home
    await home.close()


@pytest.fixture
async def alice(store: Store) -> int:
    return (await store.directory.add_account("alice@example.test", HASHES)).id


@pytest.fixture
def seen(store: Store, alice: int) -> list[Change]:
    """Every change of alice's account, as it was published."""
    changes: list[Change] = []
    store.changes.watch(alice, changes.append)
    return changes
