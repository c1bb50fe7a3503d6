"""fsck finds each kind of damage, names whose mail it is, and repairs what is safe."""

import shutil
from pathlib import Path

import pytest
from tests.store.conftest import message

from pillarbox.store.api import Delivery, Relay
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.embedded.segments import path_of
from pillarbox.store.spool import Spool


@pytest.fixture
async def filled(store: EmbeddedStore, alice: int) -> EmbeddedStore:
    """Three messages for alice, one of them queued too."""
    for n in range(3):
        relay = Relay("Q1", "", [("x@y.test", {})]) if n == 2 else None
        await store.accept(Spool.of(message(n)), [Delivery(alice)], relay)
    return store


async def problems(store: EmbeddedStore, *, repair: bool = False) -> list[str]:
    """What fsck says."""
    return [p async for p in store.check.problems(repair=repair)]


async def test_a_sound_store_has_no_problems(filled: EmbeddedStore) -> None:
    assert await problems(filled) == []


DAMAGE = {
    "counters of alice@example.test's INBOX are wrong": "UPDATE mailboxes SET messages = 9, octets = 1 WHERE name = 'INBOX'",
    "1 blobs belong to no message": "INSERT INTO blobs SELECT 99, segment, offset, size, crc, summary FROM blobs WHERE id = 1",
    "1 queued recipients without a message": "INSERT INTO queue_recipients VALUES ('Q9', 1, 'a', 'queued', 0, 0, '', 0, '{}')",
    "1 packed states without a mailbox": "INSERT INTO states VALUES (999, 1, 1, '', x'')",
    "1 changes without a mailbox": "INSERT INTO changes VALUES (999, 1, x'')",
    "octets that live, not 99999": "UPDATE segments SET live = 99999",
}


@pytest.mark.parametrize("expected", DAMAGE)
async def test_what_is_repaired_stays_repaired(filled: EmbeddedStore, folder: Path, expected: str) -> None:
    filled._index.execute(DAMAGE[expected])
    await filled.close()
    store = await EmbeddedStore.open(folder)
    found = await problems(store)
    assert any(expected in p for p in found), found
    assert all(p.endswith(": repaired") for p in await problems(store, repair=True) if expected in p)
    await store._sweeper.sweep()
    await problems(store, repair=True)
    assert await problems(store) == []
    assert await store.mail.usage(1) == (3 * len(message(0)), 3)
    await store.close()
    again = await EmbeddedStore.open(folder)
    assert await problems(again) == []
    assert [await again.mail.octets(1, 1, uid) for uid in (1, 2, 3)] == [message(0), message(1), message(2)]
    await again.close()


async def test_damaged_octets_are_named(filled: EmbeddedStore, folder: Path) -> None:
    segment, offset = filled._near.execute("SELECT segment, offset FROM blobs WHERE id = 2").get
    with path_of(folder / "segments", segment).open("r+b") as file:
        file.seek(offset + 50)
        file.write(b"!!!")
    (problem,) = await problems(filled, repair=True)
    assert "alice@example.test's message 2 in INBOX" in problem
    assert "backup" in problem


async def test_octets_that_are_elsewhere_are_found(filled: EmbeddedStore, folder: Path, alice: int) -> None:
    """Someone put the segment back from a backup under another number."""
    segment = filled._near.execute("SELECT segment FROM blobs WHERE id = 2").get
    filled._log.roll()
    path = path_of(folder / "segments", segment)
    shutil.move(path, path_of(folder / "segments", segment + 50))
    filled._reader.close()
    assert len(await problems(filled)) == 4  # the three, and a segment that the index does not know
    found = await problems(filled, repair=True)
    assert sum(p.endswith("but elsewhere: repaired") for p in found) == 3
    assert await filled.mail.octets(alice, 1, 2) == message(1)


async def test_messages_that_refer_to_nothing_are_named(filled: EmbeddedStore) -> None:
    filled._index.execute("DELETE FROM blobs WHERE id = 3")
    found = await problems(filled)
    assert any("message 3 of mailbox 1 refers to blob 3" in p for p in found)
    assert any("queued message Q1 refers to blob 3" in p for p in found)
