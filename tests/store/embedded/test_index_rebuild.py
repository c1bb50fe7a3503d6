"""The full-text index made anew: searches stay right all the while, a restart goes on, damage is noticed and mended."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from tests.store.conftest import HASHES
from tests.store.embedded.conftest import Observed

from pillarbox.mail.full_text import FullText
from pillarbox.store.api import Delivery, NewMessage
from pillarbox.store.embedded import EmbeddedStore, blob_texts, index_check, indexer, text_index
from pillarbox.store.embedded.text_index import TEXT_FILE
from pillarbox.store.embedded.words import Words, words
from pillarbox.store.spool import Spool
from pillarbox.store.upkeep import Indexed

STEP = 50
COUNT = 3 * STEP


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is indexed by itself."""
    monkeypatch.setattr(indexer, "_TICK", 3600)
    monkeypatch.setattr(indexer, "STEP", STEP)


def text(n: int) -> bytes:
    return b"Subject: %d\r\n\r\n%s\r\n" % (n, b"giraffes" if n % 3 else b"elephants")


async def fill(store: EmbeddedStore, account: int, count: int = COUNT) -> tuple[int, list[int]]:
    """Messages, of which every third is about elephants; the mailbox and those."""
    appended = await store.mail.append(account, "INBOX", [NewMessage(Spool.of(text(n))) for n in range(count)])
    return appended.mailbox, list(appended.uids)[::3]


async def test_searches_stay_right_during_a_rebuild(store: EmbeddedStore, alice: int) -> None:
    inbox, elephants = await fill(store, alice)
    await store.indexer.catch_up()
    for account in (None, alice):
        await store.indexer.rebuild(account)
        assert await store.indexer.status() == [Indexed(alice, COUNT, COUNT, 0)]
        waiting = COUNT
        while await store.indexer._step():
            named = await store.mail.may_hold(alice, inbox, "elephants")
            assert named is not None
            assert set(elephants) <= set(named)
            assert len(named) < len(elephants) + waiting
            waiting -= STEP
        assert await store.mail.may_hold(alice, inbox, "elephants") == elephants
        assert await store.indexer.status() == [Indexed(alice, COUNT, 0, 0)]


async def test_one_account_is_made_anew_and_the_others_are_left_alone(store: EmbeddedStore, alice: int) -> None:
    bob = (await store.directory.add_account("bob@example.test", HASHES)).id
    inbox, elephants = await fill(store, alice)
    his, _ = await fill(store, bob, 10)
    await store.accept(Spool.of(text(0)), [Delivery(alice), Delivery(bob)])  # one blob, two accounts
    await store.indexer.catch_up()
    await store.indexer.rebuild(bob)
    assert await store.indexer.status() == [Indexed(alice, COUNT + 1, 1, 0), Indexed(bob, 11, 11, 0)]
    assert await store.mail.may_hold(alice, inbox, "elephants") == [*elephants, COUNT + 1]
    await store.indexer.catch_up()
    assert await store.indexer.status() == [Indexed(alice, COUNT + 1, 0, 0), Indexed(bob, 11, 0, 0)]
    assert await store.mail.may_hold(bob, his, "elephants") == [1, 4, 7, 10, 11]


@pytest.mark.parametrize("whole", [True, False])
async def test_it_goes_on_after_a_restart(whole: bool, store: EmbeddedStore, alice: int, folder: Path) -> None:
    inbox, elephants = await fill(store, alice)
    await store.indexer.catch_up()
    await store.indexer.rebuild(None if whole else alice)
    await store.indexer._step()
    await store.close()
    again = await EmbeddedStore.open(folder)
    [before] = await again.indexer.status()
    assert before.waiting == COUNT - STEP
    await again.indexer.catch_up()
    assert await again.mail.may_hold(alice, inbox, "elephants") == elephants
    await again.close()


async def test_a_check_does_not_wait_until_a_step_has_rested(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step rests now and then, on a busy machine for long; whoever waits for it need not wait for that."""
    inbox, elephants = await fill(store, alice)
    await store.indexer.status()  # it is open
    monkeypatch.setattr(indexer, "REST", 1e9)
    monkeypatch.setattr(blob_texts, "_IN_ONE_GO", 0.0)
    step = asyncio.create_task(store.indexer._step())
    while not store.indexer._lock.locked():
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert [p async for p in store.check.problems(repair=False)] == []
    assert 0 < await step < STEP
    await store.indexer.catch_up()
    assert await store.mail.may_hold(alice, inbox, "elephants") == elephants


async def test_a_step_ends_with_the_message_that_has_words_enough(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with octets that are no words: those cost SQLite nothing."""
    attached = b"Content-Type: application/pdf\r\n\r\n" + b"%PDF " * 1000
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(attached)) for _ in range(10)])
    inbox, elephants = await fill(store, alice, 10)
    monkeypatch.setattr(blob_texts, "STEP_OCTETS", 1000)
    assert await store.indexer._step() == 20
    await store.indexer.rebuild()
    monkeypatch.setattr(
        blob_texts, "STEP_OCTETS", 10 * len(b"content-type: application/pdf") + 4 * len(b"subject: 0 giraffes")
    )
    assert await store.indexer._step() == 10 + 5
    assert await store.indexer._step() == 5
    assert await store.mail.may_hold(alice, inbox, "elephants") == elephants


async def test_what_is_expunged_leaves_the_list_too(store: EmbeddedStore, alice: int) -> None:
    inbox, elephants = await fill(store, alice, 9)
    await store.indexer.catch_up()
    await store.indexer.rebuild(alice)
    await store.mail.expunge(alice, inbox, elephants, deleted_only=False)
    await store._sweeper.sweep()
    await store.indexer.catch_up()
    assert await store.indexer.status() == [Indexed(alice, 6, 0, 0)]
    assert await store.mail.may_hold(alice, inbox, "elephants") == []
    writer = text_index.connect(store._place.directory, writer=True)
    assert text_index.list_length(writer) == 0
    assert writer.execute("SELECT count(*) FROM partial").get == 0
    assert len(writer.execute("SELECT rowid FROM texts(?)", (text_index.terms("gir"),)).fetchall()) == 6
    writer.close()


@pytest.mark.parametrize("version", [1, 2, 99])
async def test_an_index_of_another_version_is_made_anew(  # type: ignore[no-untyped-def]
    version, store, alice, folder, observed
):
    inbox, elephants = await fill(store, alice, 9)
    await store.indexer.catch_up()
    await store.close()
    connection = apsw.Connection(str(folder / TEXT_FILE))
    connection.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
    if version <= 2:
        connection.execute("DROP TABLE words")
    connection.pragma("user_version", version)
    connection.close()
    again = await EmbeddedStore.open(folder, observer=observed)
    assert await again.indexer.status() == [Indexed(alice, 9, 9, 0)]
    await again.indexer.catch_up()
    assert await again.mail.may_hold(alice, inbox, "elephants") == elephants
    assert observed == []
    await again.close()


async def test_a_check_does_not_mind_the_order_of_words(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has another order."""
    source = random.Random(1)
    octets = b"Subject: one\r\n\r\n" + b" ".join(b"%d" % source.randrange(10**6) for _ in range(20))
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(octets))])
    await store.indexer.catch_up()

    def otherwise(blob: int, text: FullText) -> Words:
        here = words(blob, text)
        return replace(here, body=b" ".join(sorted(here.body.split(), key=lambda word: word[::-1])))

    monkeypatch.setattr(blob_texts, "words", otherwise)
    for needle in range(5, 40):
        monkeypatch.setattr(index_check, "_NEEDLE", needle)
        assert await store.indexer.problem() == ""


def truncated(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(octets[: len(octets) // 2])


def garbage_first(path: Path) -> None:
    path.write_bytes(b"\xa5" * 100 + path.read_bytes()[100:])


def another_database(path: Path) -> None:
    path.unlink()
    connection = apsw.Connection(str(path))
    connection.execute(f"CREATE TABLE texts (a); PRAGMA user_version = {text_index._VERSION}")
    connection.close()


@pytest.mark.parametrize("harm", [truncated, garbage_first, another_database])
async def test_a_damaged_index_is_said_dropped_and_made_anew(harm, store, alice, folder, observed):  # type: ignore[no-untyped-def]
    inbox, elephants = await fill(store, alice)
    await store.indexer.catch_up()
    await store.close()
    harm(folder / TEXT_FILE)
    again = await EmbeddedStore.open(folder, observer=observed)
    assert await again.mail.octets(alice, inbox, 1) == text(0)
    await again.indexer.catch_up()
    assert await again.mail.may_hold(alice, inbox, "elephants") == elephants
    assert [event for event, _ in observed] == ["search_index_damaged"]
    await again.close()


async def test_damage_that_shows_while_it_runs(
    store: EmbeddedStore, alice: int, folder: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, elephants = await fill(store, alice)
    await store.indexer.catch_up()
    await store.close()
    octets = bytearray((folder / TEXT_FILE).read_bytes())
    octets[2 * 8192 :] = b"\xa5" * (len(octets) - 2 * 8192)
    (folder / TEXT_FILE).write_bytes(octets)
    monkeypatch.setattr(indexer, "_TICK", 0.01)
    again = await EmbeddedStore.open(folder, observer=observed)
    for _ in range(500):
        named = await again.mail.may_hold(alice, inbox, "elephants")
        assert named is None or set(elephants) <= set(named)
        if named == elephants:
            break
        await asyncio.sleep(0.01)
    assert named == elephants
    assert [event for event, _ in observed] == ["search_index_damaged"]
    await again.close()


async def test_trouble_of_the_disk_is_tried_again(
    store: EmbeddedStore, alice: int, folder: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, elephants = await fill(store, alice)
    await store.close()
    for name, seconds in (("_TICK", 0.01), ("_RETRY", 0.01)):
        monkeypatch.setattr(indexer, name, seconds)
    add, failures = text_index.add, iter([apsw.FullError("disk is full"), OSError("too bad")])

    def failing(*arguments: object) -> None:
        if error := next(failures, None):
            raise error
        add(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(text_index, "add", failing)
    again = await EmbeddedStore.open(folder, observer=observed)
    for _ in range(500):
        if await again.mail.may_hold(alice, inbox, "elephants") == elephants:
            break
        await asyncio.sleep(0.01)
    assert await again.mail.may_hold(alice, inbox, "elephants") == elephants
    assert [event for event, _ in observed] == ["search_index_failed"] * 2
    await again.close()


async def found(store: EmbeddedStore, *, repair: bool = False) -> list[str]:
    return [problem async for problem in store.check.problems(repair=repair)]


def lost_texts(index: apsw.Connection) -> None:
    index.execute("DELETE FROM texts WHERE rowid IN (1, 2)")


def lost_words(index: apsw.Connection) -> None:
    index.execute("DELETE FROM words WHERE blob = 3")


def flipped_words(index: apsw.Connection) -> None:
    index.execute("UPDATE words SET body = CAST(replace(CAST(body AS TEXT), 'p', 'q') AS BLOB)")


def other_texts(index: apsw.Connection) -> None:
    index.execute("DELETE FROM texts")
    index.execute(
        "INSERT INTO texts (rowid, text) SELECT value, 'something else' FROM json_each(?)",
        (str([*range(1, COUNT + 1)]),),
    )


def broken_pages(index: apsw.Connection) -> None:
    index.execute("UPDATE texts_data SET block = zeroblob(length(block)) WHERE id > 10")


HARMS = {
    "lacks 2 messages": lost_texts,
    "lacks 1 messages": lost_words,
    "say": flipped_words,
    "does not know what blob": other_texts,
    "is damaged (": broken_pages,
}


@pytest.mark.parametrize("expected", HARMS)
async def test_fsck_looks_at_the_index_too(expected: str, store: EmbeddedStore, alice: int, folder: Path) -> None:
    inbox, elephants = await fill(store, alice)
    assert await found(store) == []
    await store.indexer.catch_up()
    assert await found(store) == []
    await store.close()
    index = text_index.connect(folder, writer=True)
    HARMS[expected](index)
    index.close()
    again = await EmbeddedStore.open(folder)
    [problem] = await found(again)
    assert expected in problem
    assert (await found(again, repair=True))[0].endswith(": repaired")
    await again.indexer.catch_up()
    assert await again.mail.may_hold(alice, inbox, "elephants") == elephants
    assert await found(again) == []
    await again.close()
