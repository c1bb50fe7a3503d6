"""Without its index, a store comes back from its segments alone."""

from pathlib import Path

import apsw
import pytest
from tests.backup.conftest import LARGE
from tests.store.conftest import HASHES, message
from typer.testing import CliRunner

from pillarbox.cli.app import app
from pillarbox.cli.problem import Problem
from pillarbox.store.api import Delivery, NewMessage, Relay, StoreError, StoreMode
from pillarbox.store.embedded import EmbeddedStore, segments
from pillarbox.store.embedded.rebuild import LOST, damage, rebuild
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.spool import Spool


@pytest.fixture
async def filled(store: EmbeddedStore, alice: int, folder: Path) -> dict[str, int]:
    """Alice and Bob have mail, in segments of several kinds; the store is closed. Gives the UIDVALIDITY of mailboxes."""
    bob = (await store.directory.add_account("bob@example.test", HASHES, quota=5)).id
    new = [NewMessage(Spool.of(message(n)), frozenset({"\\Seen", "käse"}), 1000 + n) for n in range(4)]
    await store.mail.append(alice, "INBOX", [*new, NewMessage(Spool.of(LARGE), internaldate=2000)])
    store._log.roll()
    await store.directory.set_disabled(bob, disabled=True)
    await store.accept(Spool.of(b"x\r\n"), [Delivery(alice, "a/b"), Delivery(bob)])
    await store.accept(Spool.of(message(7)), [], Relay("Q1", "", [("x@y.test", {})]))
    inbox = await store.mail.open(alice, "INBOX")
    await store.mail.store_flags(alice, inbox.mailbox, [1], StoreMode.ADD, frozenset({"\\Deleted"}))
    found = {m.name: m.uidvalidity for m in await store.mail.mailboxes(alice)}
    await store.close()
    return found


def no_index(folder: Path) -> None:
    (folder / INDEX_FILE).unlink()


def empty(folder: Path) -> None:
    (folder / INDEX_FILE).write_bytes(b"")


def garbage(folder: Path) -> None:
    (folder / INDEX_FILE).write_bytes(b"no database " * 1000)


def torn(folder: Path) -> None:
    """The tables of messages are overwritten, the directory is not."""
    index = apsw.Connection(str(folder / INDEX_FILE))
    size = index.pragma("page_size")
    pages = [
        root for (root,) in index.execute("SELECT rootpage FROM sqlite_schema WHERE name IN ('messages', 'blobs')")
    ]
    index.close()
    with (folder / INDEX_FILE).open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


@pytest.mark.parametrize("break_it", [no_index, empty, garbage, torn])
async def test_all_mail_comes_back(filled: dict[str, int], folder: Path, break_it: object) -> None:
    assert damage(folder) == ""
    break_it(folder)  # type: ignore[operator]
    was = (folder / INDEX_FILE).read_bytes() if (folder / INDEX_FILE).exists() else b""
    assert "index is" in damage(folder)
    made = await rebuild(folder)
    known = break_it is torn
    assert (made.messages, made.lost, made.unreadable) == (8, 1, [])
    assert (made.broken is not None) == bool(was)
    if made.broken is not None:
        assert made.broken.read_bytes() == was
    nobody = ["postmaster@example.test"]
    assert made.closed == (nobody if known else ["alice@example.test", "bob@example.test", *nobody])

    store = await EmbeddedStore.open(folder)
    assert [p async for p in store.check.problems(repair=False)] == []
    alice, bob, postmaster = [
        await store.directory.account(f"{name}@example.test") for name in ("alice", "bob", "postmaster")
    ]
    assert alice is not None
    assert bob is not None
    assert postmaster is not None
    assert (bob.disabled, bob.quota) == ((True, 5) if known else (False, 0))
    assert (await store.directory.hashes(alice.id) == HASHES) == known
    inbox = await store.mail.open(alice.id, "INBOX")
    assert [await store.mail.octets(alice.id, inbox.mailbox, uid) for uid in inbox.uids] == [
        LARGE,  # it was on disk first
        *map(message, range(4)),
    ]
    assert list(inbox.internaldates) == [2000, 1000, 1001, 1002, 1003]
    assert inbox.flags_of(2) == {"\\Seen", "käse"}
    assert not known or inbox.uidvalidity > max(filled.values())
    for account, name in ((alice, "a/b"), (bob, "INBOX")):
        view = await store.mail.open(account.id, name)
        assert await store.mail.octets(account.id, view.mailbox, 1) == b"x\r\n"
    lost = await store.mail.open(postmaster.id, LOST)
    assert await store.mail.octets(postmaster.id, lost.mailbox, 1) == message(7)
    assert await store.queue.entries() == []
    await store.mail.append(alice.id, "INBOX", [NewMessage(Spool.of(message(9)))])
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert [p async for p in again.check.problems(repair=False)] == []
    await again.close()
    assert not list(folder.glob("rebuilding-*"))


async def test_a_damaged_record_is_named_and_the_others_come_back(filled: dict[str, int], folder: Path) -> None:
    no_index(folder)
    path = segments.path_of(folder / "segments", segments.numbers(folder / "segments")[0])
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"Subject: 002")] = 0
    path.write_bytes(octets)
    made = await rebuild(folder)
    assert made.messages == 7
    assert len(made.unreadable) == 1


async def test_a_server_does_not_start_over_mail_without_an_index(filled: dict[str, int], folder: Path) -> None:
    no_index(folder)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"index\.sqlite is missing.*fsck --repair"):
            await EmbeddedStore.open(folder)


async def test_nobody_rebuilds_under_a_server(store: EmbeddedStore, folder: Path) -> None:
    with pytest.raises(StoreError, match="in use"):
        await rebuild(folder)


def test_typed_by_a_person(filled: dict[str, int], folder: Path) -> None:
    no_index(folder)
    said = CliRunner().invoke(app, ["fsck", "--data", str(folder)])
    assert isinstance(said.exception, Problem)
    assert said.exception.what == "The index is missing."
    said = CliRunner().invoke(app, ["fsck", "--repair", "--data", str(folder)])
    assert said.exit_code == 0, said.output
    assert "with 8 messages of 3 accounts" in said.stdout
    assert "pillarbox account passwd alice@example.test" in said.stdout
    assert "The store is sound." in said.stdout
    assert CliRunner().invoke(app, ["fsck", "--data", str(folder)]).exit_code == 0
