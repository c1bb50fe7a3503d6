"""With the copy of where everything is, a store without its index comes back as it was when the copy was written."""

import asyncio
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import apsw
import msgspec
import pytest
from tests.store.conftest import HASHES, message
from tests.store.embedded.conftest import Observed
from typer.testing import CliRunner

from pillarbox.cli.app import app
from pillarbox.store.api import Alias, Delivery, NewMessage, Relay, StoreError, StoreMode
from pillarbox.store.embedded import EmbeddedStore, placements, segments
from pillarbox.store.embedded.placements import PLACEMENTS_FILE
from pillarbox.store.embedded.rebuild import LOST, rebuild
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.spool import Spool


async def picture(store: EmbeddedStore) -> dict[str, object]:
    """Everything that people see of a store, but UIDVALIDITY."""
    found: dict[str, object] = {
        "domains": await store.directory.domains(),
        "aliases": sorted(map(repr, await store.directory.aliases())),
    }
    for account in await store.directory.accounts():
        mail = store.mail
        found[account.address] = (
            account, await store.directory.hashes(account.id), await mail.usage(account.id),
            await mail.subscriptions(account.id),
            [msgspec.structs.replace(m, uidvalidity=0) for m in await mail.mailboxes(account.id)],
        )  # fmt: skip
        for box in await mail.mailboxes(account.id):
            view = await mail.open(account.id, box.name)
            uids = list(view.uids)
            records = await mail.records(account.id, box.id, uids)
            octets = [await mail.octets(account.id, box.id, uid) for uid in uids]
            flags = [sorted(view.flags_of(uid) or ()) for uid in uids]
            found[f"{account.address} {box.name}"] = (uids, flags, list(view.internaldates), records, octets)
    return found


async def fill(store: EmbeddedStore, alice: int) -> None:
    """Mail that was flagged, moved, copied, expunged; mailboxes that were renamed and deleted."""
    bob = (await store.directory.add_account("bob@example.test", HASHES, quota=99_999)).id
    await store.directory.add_alias(Alias("office@example.test", ("alice@example.test",)))
    mail = store.mail
    await mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)), internaldate=1000 + n) for n in range(20)])
    inbox = (await mail.open(alice, "INBOX")).mailbox
    await mail.store_flags(alice, inbox, range(1, 9), StoreMode.ADD, frozenset({"\\Seen", "käse"}))
    await mail.create(alice, "Plans/Old")
    await mail.move(alice, inbox, [9, 3, 5], "Plans/Old")
    await mail.copy(alice, inbox, [1, 2], "Archive")
    await mail.rename(alice, "Plans", "Work")
    await mail.create(alice, "Empty")
    await mail.delete(alice, "Trash")
    await mail.subscribe(alice, "Work/Old", subscribed=True)
    await mail.expunge(alice, inbox, [7, 8], deleted_only=False)
    await store.accept(
        Spool.of(b"Subject: both\r\n\r\n"), [Delivery(alice), Delivery(bob)], Relay("Q1", "", [("x@y.test", {})])
    )
    await store.directory.set_disabled(bob, disabled=True)


@pytest.fixture
async def filled(store: EmbeddedStore, alice: int) -> EmbeddedStore:
    await fill(store, alice)
    return store


async def sound(store: EmbeddedStore) -> list[str]:
    return [problem async for problem in store.check.problems(repair=False)]


async def test_everything_is_as_it_was(filled: EmbeddedStore, folder: Path) -> None:
    before = await picture(filled)
    old = {m.name: m.uidvalidity for m in await filled.mail.mailboxes(1)}
    await filled.placements.write()
    await filled.close()
    (folder / INDEX_FILE).unlink()
    made = await rebuild(folder)
    assert (made.closed, made.unreadable, made.lost) == ([], [], 0)
    assert made.placed == pytest.approx(time.time(), abs=60)
    store = await EmbeddedStore.open(folder)
    assert await picture(store) == before
    assert await sound(store) == []
    assert min(m.uidvalidity for m in await store.mail.mailboxes(1)) > max(old.values())
    assert await store.queue.entries() == []
    await store._sweeper.sweep()
    assert await sound(store) == []
    assert await picture(store) == before
    assert (folder / PLACEMENTS_FILE).stat().st_mode & 0o777 == 0o600
    await store.close()


async def test_what_came_later_comes_too(filled: EmbeddedStore, folder: Path, alice: int) -> None:
    await filled.placements.write()
    before = await picture(filled)
    inbox = (await filled.mail.open(alice, "INBOX")).mailbox
    await filled.mail.append(alice, "Work/Old", [NewMessage(Spool.of(message(70)), frozenset({"\\Draft"}), 5)])
    await filled.directory.add_account("carol@example.test", HASHES)
    await filled.accept(Spool.of(message(71)), [Delivery(3)])
    await filled.accept(Spool.of(message(72)), [], Relay("Q2", "", [("x@y.test", {})]))
    await filled.mail.expunge(alice, inbox, [1], deleted_only=False)  # it is back afterwards: nothing says so
    await filled.close()
    (folder / INDEX_FILE).unlink()
    made = await rebuild(folder)
    assert made.closed == ["carol@example.test", "postmaster@example.test"]
    store = await EmbeddedStore.open(folder)
    after = await picture(store)
    assert {
        k: v for k, v in after.items() if k in before and k not in {"alice@example.test", "alice@example.test Work/Old"}
    } == {k: v for k, v in before.items() if k not in {"alice@example.test", "alice@example.test Work/Old"}}
    work = await store.mail.open(alice, "Work/Old")
    last = work.uids[-1]
    assert (work.flags_of(last), work.internaldates[-1]) == ({"\\Draft"}, 5)
    assert await store.mail.octets(alice, work.mailbox, last) == message(70)
    carol, postmaster = [await store.directory.account(f"{n}@example.test") for n in ("carol", "postmaster")]
    assert carol is not None
    assert postmaster is not None
    assert await store.mail.octets(carol.id, (await store.mail.open(carol.id, "INBOX")).mailbox, 1) == message(71)
    lost = await store.mail.open(postmaster.id, LOST)
    assert await store.mail.octets(postmaster.id, lost.mailbox, 1) == message(72)
    assert await sound(store) == []
    await store.close()


async def test_what_was_removed_before_stays_removed(filled: EmbeddedStore, folder: Path, alice: int) -> None:
    inbox = await filled.mail.open(alice, "INBOX")
    gone = (await filled.mail.records(alice, inbox.mailbox, [10]))[0]
    assert gone is not None
    await filled.mail.expunge(alice, inbox.mailbox, [10], deleted_only=False)
    await filled._sweeper._sweep_messages()
    await filled._sweeper._sweep_blobs()
    await filled.placements.write()
    before = await picture(filled)
    await filled.close()
    (folder / INDEX_FILE).unlink()
    await rebuild(folder)
    store = await EmbeddedStore.open(folder)
    assert await picture(store) == before
    await store.close()


async def test_passwords_and_removals_of_a_torn_index_count_more(
    filled: EmbeddedStore, folder: Path, alice: int
) -> None:
    await filled.placements.write()
    newer = replace(HASHES, argon2="newer")
    await filled.directory.set_hashes(alice, newer)
    await filled.directory.remove_account(2)
    await filled.directory.add_account("bob@example.test", HASHES)  # another one
    await filled.close()
    index = apsw.Connection(str(folder / INDEX_FILE))
    size, [(root,)] = (
        index.pragma("page_size"),
        index.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'blobs'").fetchall(),
    )
    index.close()
    with (folder / INDEX_FILE).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    made = await rebuild(folder)
    assert made.closed == []
    store = await EmbeddedStore.open(folder)
    assert await store.directory.hashes(alice) == newer
    bob = await store.directory.account("bob@example.test")
    assert bob is not None
    assert await store.mail.usage(bob.id) == (0, 0)
    await store.close()


async def test_messages_that_no_segment_has_are_named(filled: EmbeddedStore, folder: Path, alice: int) -> None:
    await filled.placements.write()
    await filled.close()
    (folder / INDEX_FILE).unlink()
    path = segments.path_of(folder / "segments", segments.numbers(folder / "segments")[0])
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"Subject: 010")] = 0
    path.write_bytes(octets)
    made = await rebuild(folder)
    assert made.unreadable[1:] == ["1 messages of alice@example.test's INBOX are in no segment, or damaged there"]
    store = await EmbeddedStore.open(folder)
    assert await sound(store) == []
    assert 11 not in (await store.mail.open(alice, "INBOX")).uids
    await store.close()


@pytest.mark.parametrize("harm", [b"", b"nothing of ours" * 1000, None])
async def test_without_a_sound_copy_the_notes_decide(harm: bytes | None, filled: EmbeddedStore, folder: Path) -> None:
    await filled.placements.write()
    await filled.close()
    (folder / INDEX_FILE).unlink()
    copy = folder / PLACEMENTS_FILE
    if harm is None:  # a copy of another life of the store: its blobs are others
        index = apsw.Connection(str(copy))
        index.execute("UPDATE blobs SET crc = crc + 1 WHERE id = 5")
        index.close()
    else:
        copy.write_bytes(harm)
    made = await rebuild(folder)
    assert made.placed is None
    assert made.messages == 22
    store = await EmbeddedStore.open(folder)
    assert await sound(store) == []
    await store.close()


def test_typed_by_a_person(tmp_path: Path) -> None:
    async def prepare() -> None:
        store = await EmbeddedStore.open(tmp_path)
        await store.directory.add_domain("example.test")
        await fill(store, (await store.directory.add_account("alice@example.test", HASHES)).id)
        await store.placements.write()
        await store.close()

    asyncio.run(prepare())
    (tmp_path / INDEX_FILE).unlink()
    said = CliRunner().invoke(app, ["fsck", "--repair", "--data", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "Mailboxes and flags are as they were at 20" in said.stdout
    assert "needs a password" not in said.stdout
    assert "The store is sound." in said.stdout


async def test_it_is_written_now_and_then(
    store: EmbeddedStore, folder: Path, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    monkeypatch.setattr(placements, "EVERY", 0.01)
    monkeypatch.setattr(placements, "SHARE", 0)
    again = await EmbeddedStore.open(folder)
    seen = set()
    for n in range(3):
        await again.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(n)))])
        for _ in range(500):
            copy = folder / PLACEMENTS_FILE
            if copy.exists() and (inode := copy.stat().st_ino) not in seen:
                break
            await asyncio.sleep(0.01)
        seen.add(inode)
    await again.close()
    connection = apsw.Connection(str(folder / PLACEMENTS_FILE))
    assert connection.execute("SELECT count(*) FROM messages").get >= 2
    connection.close()
    assert not list(folder.glob("*.new"))


async def test_a_failure_is_said_and_the_last_one_stays(
    store: EmbeddedStore, folder: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.placements.write()
    was = (folder / PLACEMENTS_FILE).read_bytes()
    await store.close()

    def full(*_: object) -> None:
        raise apsw.FullError("disk is full")

    monkeypatch.setattr(placements, "EVERY", 0.01)
    monkeypatch.setattr(placements, "_copy", full)
    again = await EmbeddedStore.open(folder, observer=observed)
    for _ in range(500):
        if observed:
            break
        await asyncio.sleep(0.01)
    await again.close()
    assert observed[0] == ("placements_failed", {"reason": "disk is full"})
    assert (folder / PLACEMENTS_FILE).read_bytes() == was
    assert not list(folder.glob("*.new"))


async def test_an_orderly_end_leaves_a_copy_of_what_is_last(
    store: EmbeddedStore, folder: Path, alice: int, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = folder / PLACEMENTS_FILE
    await store.placements.write()
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(1)))])
    await store.placements.finish()
    connection = apsw.Connection(str(copy))
    assert connection.execute("SELECT count(*) FROM messages").get == 1
    connection.close()
    inode = copy.stat().st_ino
    await store.placements.finish()  # nothing has changed
    assert copy.stat().st_ino == inode
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(message(2)))])
    monkeypatch.setattr(placements, "AT_THE_END", 0)
    await store.placements.finish()
    await store.close()
    await store.placements.finish()
    assert observed == [("placements_failed", {"reason": "it takes too long for the end"})]
    connection = apsw.Connection(str(copy))  # as it was, or whole after all
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    assert not list(folder.glob("*.new"))


@pytest.mark.parametrize("seed", range(4))
async def test_random_lives(seed: int, store: EmbeddedStore, alice: int, folder: Path) -> None:
    """Whatever was done before the copy is there after a loss."""
    source = random.Random(seed)
    names = ["INBOX", "Archive", "A", "A/B"]
    for name in names[2:]:
        await store.mail.create(alice, name)
    for n in range(120):
        name = source.choice(names)
        view = await store.mail.open(alice, name)
        some = sorted(source.sample(list(view.uids), min(len(view.uids), source.randrange(1, 6))))
        action = source.randrange(6)
        if action <= 1 or not some:
            new = [NewMessage(Spool.of(message(n)), internaldate=n) for _ in range(source.randrange(1, 5))]
            await store.mail.append(alice, name, new)
        elif action == 2:
            flags = frozenset(source.sample(["\\Seen", "\\Flagged", "x", "y"], 2))
            await store.mail.store_flags(alice, view.mailbox, some, source.choice([*StoreMode]), flags)
        elif action == 3:
            await store.mail.move(alice, view.mailbox, some, source.choice(names))
        elif action == 4:
            await store.mail.copy(alice, view.mailbox, some, source.choice(names))
        else:
            await store.mail.expunge(alice, view.mailbox, some, deleted_only=False)
        if source.random() < 0.05:
            await store._sweeper.sweep()
        if source.random() < 0.05:
            store._log.roll()
    await store.placements.write()
    before = await picture(store)
    await store.close()
    (folder / INDEX_FILE).unlink()
    await rebuild(folder)
    again = await EmbeddedStore.open(folder)
    assert await picture(again) == before
    assert await sound(again) == []
    await again.close()


async def test_a_closed_store_writes_no_copy(store: EmbeddedStore) -> None:
    await store.close()
    with pytest.raises((apsw.Error, RuntimeError, StoreError)):
        await store.placements.write()


async def test_whatever_moment_its_writing_ends_at(
    filled: EmbeddedStore, folder: Path, alice: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder as a process that dies leaves it, before and after each step: the old copy counts, or the new one."""
    await filled.placements.write()
    old = await picture(filled)
    inbox = (await filled.mail.open(alice, "INBOX")).mailbox
    await filled.mail.store_flags(alice, inbox, [11, 12], StoreMode.ADD, frozenset({"later"}))
    new = await picture(filled)
    images: list[Path] = []

    def keep(cut: int | None = None) -> None:
        images.append(tmp_path / f"image{len(images)}")
        shutil.copytree(folder, images[-1], ignore=shutil.ignore_patterns("*.sock"))
        unfinished = images[-1] / placements._NEW
        if cut is not None and unfinished.exists():
            os.truncate(unfinished, unfinished.stat().st_size * cut // 4)

    def around(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def step(*arguments: object, **named: object) -> object:
            keep()
            result = original(*arguments, **named)
            for cut in (None, 0, 1, 3):
                keep(cut)
            return result

        monkeypatch.setattr(owner, name, step)

    with monkeypatch.context() as monkeypatch:
        around(placements, "_copy")
        around(placements, "sync_folder")
        around(placements.os, "fsync")
        around(Path, "rename")
        await filled.placements.write()
    await filled.close()
    seen = []
    for image in images:
        for ending in ("", "-wal", "-shm"):
            (image / (INDEX_FILE + ending)).unlink(missing_ok=True)
        await rebuild(image)
        store = await EmbeddedStore.open(image)
        try:
            found = await picture(store)
            assert found in (old, new)
            assert await sound(store) == []
            seen.append(found == new)
        finally:
            await store.close()
    assert seen == sorted(seen), "an old copy came back after a new one"
    assert set(seen) == {False, True}
