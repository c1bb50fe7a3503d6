"""Makes tests/fixtures/data-VERSION/data.tar: a small data directory as this version writes it. Run it once for each
release, and never again for an old one: `PYTHONPATH=src python tools/data_fixture.py`. Tests open all of them."""

import asyncio
import tarfile
import tempfile
from pathlib import Path

from pillarbox import __version__
from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import Delivery, NewMessage, PasswordHashes, Relay, StoreMode
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

HASHES = PasswordHashes("$argon2id$not-a-real-one", ScramKeys(b"salt", 4096, b"stored", b"server"))
START = 1_600_000_000

Message = tuple[int, list[str], int, bytes]
"""UID, flags, internal date, octets."""


def message(n: int) -> bytes:
    """A message with a header and a body."""
    return b"From: a@example.test\r\nMessage-ID: <%d@example.test>\r\nSubject: %d\r\n\r\ntext\r\n" % (n, n)


MESSAGES: dict[str, list[Message]] = {
    "alice@example.test Archive": [(1, ["\\Answered", "käse"], START + 1, message(1))],
    "alice@example.test INBOX": [
        (1, ["\\Flagged", "\\Seen"], START, message(0)),
        (4, ["\\Seen"], START + 3, message(3)),
    ],
    "bob@example.test Listen/Käse": [(1, ["\\Seen"], START + 9, message(9))],
}


async def make(data: Path) -> None:
    """A store with what MESSAGES says: appended, delivered, flagged, moved, expunged, queued."""
    store = await EmbeddedStore.open(data, clock=lambda: START + 9.0)
    await store.directory.add_domain("example.test")
    alice = (await store.directory.add_account("alice@example.test", HASHES, quota=10**6)).id
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    seen = frozenset({"\\Seen"})
    new = [NewMessage(Spool.of(message(n)), seen, START + n) for n in range(4)]
    inbox = (await store.mail.append(alice, "INBOX", new)).mailbox
    await store.mail.store_flags(alice, inbox, [1], StoreMode.ADD, frozenset({"\\Flagged"}))
    await store.mail.store_flags(alice, inbox, [2], StoreMode.REPLACE, frozenset({"\\Answered", "käse"}))
    await store.mail.move(alice, inbox, [2], "Archive")
    await store.mail.expunge(alice, inbox, [3], deleted_only=False)
    relay = Relay("Q1", "bob@example.test", [("x@elsewhere.test", {})], bob)
    await store.accept(Spool.of(message(9)), [Delivery(bob, "Listen/Käse", seen)], relay)
    await store.close()


async def contents(store: EmbeddedStore) -> dict[str, list[Message]]:
    """Every mailbox that is not empty, as MESSAGES has it."""
    found: dict[str, list[Message]] = {}
    for account in await store.directory.accounts():
        for mailbox in await store.mail.mailboxes(account.id):
            view = await store.mail.open_by_id(account.id, mailbox.id)
            for uid in view.uids:
                octets = await store.mail.octets(account.id, mailbox.id, uid) or b""
                date = view.internaldates[view.index(uid)]
                kept = (uid, sorted(view.flags_of(uid) or ()), date, octets)
                found.setdefault(f"{account.address} {mailbox.name}", []).append(kept)
    return dict(sorted(found.items()))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = START
    return entry


def main() -> None:
    """Make it, unless it is there."""
    target = Path(__file__).parents[1] / "tests" / "fixtures" / f"data-{__version__}" / "data.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        asyncio.run(make(data))
        with tarfile.open(target, "x") as tar:
            tar.add(data, "data", filter=_plain)


if __name__ == "__main__":
    main()
