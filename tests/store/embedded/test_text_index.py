"""The full-text index never misses a message: random texts, restarts, what is not indexed yet, what went."""

import asyncio
import errno
import random
import threading
from collections.abc import AsyncIterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.store.conftest import HASHES

from pillarbox.mail.full_text import MAX_TEXT, full_text
from pillarbox.mail.mime import parse
from pillarbox.mail.search_text import folded
from pillarbox.mail.text import body_texts, header_text
from pillarbox.store.api import NewMessage, OverQuota, Relay, StoreUnavailable
from pillarbox.store.embedded import EmbeddedStore, blob_texts, incoming, indexer, text_index
from pillarbox.store.embedded.text_index import TEXT_FILE
from pillarbox.store.embedded.words import MAX_WORDS, Words, words
from pillarbox.store.spool import Spool

WORDS = [
    "invoice", "INVOICE", "Straße", "Grüße", "ſtop", "İstanbul", "日本語のメール", 'a"b"c', "aaaa", "n\0ul",
    "\U0001f600\U0001f601\U0001f602", "<b>bo</b>ld", "&eacute;t&eacute;", "x AND y", "NEAR(a b)", "a*", "'quoted'",
    "\ufffe\uffff\ufffe",
]  # fmt: skip
NEEDLES = [
    "invoice", "voic", "strasse", "ÜSS", "stop", "i̇stan", "日本語", "本語の", 'a"b', '"b"', "aaa", "aaaaa", "bold", "été",
    "n\0u", "x and y", "near(", "'quoted'", "\U0001f600\U0001f601\U0001f602", "subject: ", "\ufffe\uffff", "\ufffe\uffff\ufffe",
    "ab", "", "\ud800abc", "voice invoice invoice invoice",
]  # fmt: skip


def message(source: random.Random) -> bytes:
    subject, body = (" ".join(source.choices(WORDS, k=source.randrange(5))) for _ in range(2))
    kind = source.choice(("plain", "html"))
    return (
        f"Subject: {subject}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    ).encode()


def holds(octets: bytes, needle: str, *, header: bool = True) -> bool:
    tree = parse(octets)
    texts = [*([header_text(octets, 0, tree.body)] if header else []), *body_texts(octets, tree)]
    return any(needle in folded(text) for text in texts)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedStore]:
    monkeypatch.setattr(indexer, "_TICK", 3600)  # only when a test says so
    store = await EmbeddedStore.open(tmp_path / "store")
    await store.directory.add_domain("example.test")
    await store.directory.add_account("alice@example.test", HASHES)
    yield store
    await store.close()


async def put(store: EmbeddedStore, octets: list[bytes], mailbox: str = "INBOX") -> list[int]:
    alice = await account(store)
    return list((await store.mail.append(alice, mailbox, [NewMessage(Spool.of(each)) for each in octets])).uids)


async def account(store: EmbeddedStore) -> int:
    found = await store.directory.account("alice@example.test")
    assert found is not None
    return found.id


async def may_hold(store: EmbeddedStore, needle: str, mailbox: str = "INBOX") -> list[int] | None:
    alice = await account(store)
    view = await store.mail.open(alice, mailbox)
    found = await store.mail.may_hold(alice, view.mailbox, folded(needle))
    return None if found is None else list(found)


async def holding(
    store: EmbeddedStore, needle: str, *, header: bool, mailbox: str = "INBOX"
) -> tuple[list[int], list[int]]:
    """Of all messages and one that is not there."""
    alice = await account(store)
    view = await store.mail.open(alice, mailbox)
    held = await store.mail.holding(alice, view.mailbox, [*view.uids, 999_999], folded(needle), header=header)
    return list(held.surely), [uid for uid in held.perhaps if uid != 999_999]


@pytest.mark.parametrize("seed", range(3))
async def test_every_message_that_holds_a_needle_is_named(seed: int, home: EmbeddedStore) -> None:
    source = random.Random(seed)
    octets = {}
    for _ in range(3):
        new = [message(source) for _ in range(70)]
        octets.update(zip(await put(home, new), new, strict=True))
        await home.indexer.catch_up()
        late = [message(source) for _ in range(3)]
        octets.update(zip(await put(home, late), late, strict=True))
        for needle in NEEDLES:
            named = await may_hold(home, needle)
            if named is not None:
                assert named == sorted(set(named))
                assert {uid for uid, each in octets.items() if holds(each, folded(needle))} <= {*named}, needle
    await home.indexer.catch_up()
    assert await may_hold(home, "nowhere at all") == []
    for needle in ("ab", "", "n\0u", "\ud800abc"):
        assert await may_hold(home, needle) is None


@pytest.mark.parametrize("seed", range(3))
async def test_words_say_what_messages_hold(seed: int, home: EmbeddedStore) -> None:
    source = random.Random(seed)
    octets: dict[int, bytes] = {}
    for late in (False, True):
        new = [message(source) for _ in range(70)]
        octets.update(zip(await put(home, new), new, strict=True))
        if not late:
            await home.indexer.catch_up()
        for needle, header in product([*NEEDLES, "b", "\u0301", "ß", "語"], (False, True)):
            surely, perhaps = await holding(home, needle, header=header)
            if perhaps != [*octets]:
                expected = [uid for uid, each in octets.items() if holds(each, folded(needle), header=header)]
                assert surely == [uid for uid in expected if uid <= 70]
                assert perhaps == [uid for uid in octets if uid > 70]
            else:
                assert not text_index.is_within_a_word(folded(needle)), needle


async def test_a_message_without_words_has_none(home: EmbeddedStore) -> None:
    [uid] = await put(home, [b"\r\n\r\n"])
    await home.indexer.catch_up()
    assert await holding(home, "a", header=True) == ([], [])
    [other] = await put(home, [b"A: b\r\n\r\n"])
    await home.indexer.catch_up()
    assert await holding(home, "a", header=True) == ([other], [])
    assert await home.indexer.problem() == ""
    assert uid < other


async def test_what_the_words_do_not_say_may_be_there(home: EmbeddedStore, tmp_path: Path) -> None:
    """Whatever is wrong with them, short of saying something else."""
    uids = await put(home, [b"Subject: %d\r\n\r\nelephants\r\n" % n for n in range(6)])
    await home.indexer.catch_up()
    assert await holding(home, "elephants", header=False) == (uids, [])
    assert await holding(home, "elephants ", header=False) == ([], uids)
    assert await holding(home, "subject", header=False) == ([], [])
    assert await holding(home, "subject", header=True) == (uids, [])
    connection = text_index.connect(tmp_path / "store", writer=True)
    rows = connection.execute("SELECT blob, header, body FROM words").fetchall()
    connection.execute("DROP TABLE words; CREATE TABLE words (blob INTEGER PRIMARY KEY, header, body)")
    rows[0] = (rows[0][0], None, None)
    rows[1] = (rows[1][0], rows[1][1], None)
    connection.executemany("INSERT INTO words VALUES (?, ?, ?)", [row for n, row in enumerate(rows) if n != 2])
    connection.execute("INSERT INTO partial VALUES (?)", (rows[3][0],))
    connection.close()
    assert await holding(home, "elephants", header=False) == (uids[4:], uids[:4])
    assert await holding(home, "giraffes", header=True) == ([], uids[:4])


async def test_short_words_are_told_apart(home: EmbeddedStore) -> None:
    uids = await put(home, [b"Subject: %d\r\n\r\ncall 06 12 34 %d 78 now\r\n" % (n, n) for n in range(40, 60)])
    await home.indexer.catch_up()
    assert await may_hold(home, "06 12 34 56 78") == [uids[16]]
    assert await may_hold(home, "6 12 34 5") == uids
    assert await may_hold(home, "06 13 34") == []
    assert await may_hold(home, "06 12") == uids
    assert await may_hold(home, "1 2") is None


async def test_it_survives_a_restart_and_ids_that_come_again(home: EmbeddedStore, tmp_path: Path) -> None:
    [uid] = await put(home, [b"Subject: first\r\n\r\nelephants\r\n"])
    await home.indexer.catch_up()
    await home.close()
    again = await EmbeddedStore.open(tmp_path / "store")
    await again.indexer.catch_up()
    assert await may_hold(again, "elephants") == [uid]
    assert await may_hold(again, "giraffes") == []
    await again.close()
    # An index that is ahead of the store, as after restoring an older backup, forgets what it knows too much.
    connection = text_index.connect(tmp_path / "store", writer=True)
    text_index.add(connection, [Words(blob, b"", b"elephants", is_whole=True) for blob in range(50, 60)], [61], [], 61)
    connection.close()
    restored = await EmbeddedStore.open(tmp_path / "store")
    new = await put(restored, [b"Subject: %d\r\n\r\ngiraffes\r\n" % n for n in range(80)])
    await restored.indexer.catch_up()
    assert await may_hold(restored, "elephants") == [uid]
    assert await may_hold(restored, "giraffes") == new
    await restored.close()


async def test_another_main_index_means_another_text_index(home: EmbeddedStore, tmp_path: Path) -> None:
    alice = await account(home)
    [uid] = await put(home, [b"Subject: first\r\n\r\nelephants\r\n"])
    await home.indexer.catch_up()
    await home.close()
    folder = tmp_path / "store"
    (folder / "earlier").write_bytes((folder / "index.sqlite").read_bytes())
    later = await EmbeddedStore.open(folder)
    await later.mail.expunge(alice, (await later.mail.open(alice, "INBOX")).mailbox, [uid], deleted_only=False)
    await later.indexer.catch_up()
    await later._sweeper._sweep_messages()
    await later._sweeper._sweep_blobs()
    await later.indexer.catch_up()
    assert await may_hold(later, "elephants") == []
    await later.close()
    (folder / "earlier").rename(folder / "index.sqlite")
    restored = await EmbeddedStore.open(folder)
    await restored.indexer.catch_up()
    assert await may_hold(restored, "elephants") == [uid]
    await restored.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 500])
async def test_a_lost_or_damaged_index_is_made_again(damage: bytes, home: EmbeddedStore, tmp_path: Path) -> None:
    [uid] = await put(home, [b"Subject: first\r\n\r\nelephants\r\n"])
    await home.indexer.catch_up()
    await home.close()
    (tmp_path / "store" / TEXT_FILE).write_bytes(damage)
    again = await EmbeddedStore.open(tmp_path / "store")
    await again.indexer.catch_up()
    assert await may_hold(again, "elephants") == [uid]
    assert await may_hold(again, "giraffes") == []
    assert (tmp_path / "store" / TEXT_FILE).stat().st_mode & 0o777 == 0o600
    await again.close()


async def test_copies_are_found_and_what_went_leaves_the_index(home: EmbeddedStore, tmp_path: Path) -> None:
    alice = await account(home)
    uids = await put(home, [b"Subject: %d\r\n\r\nelephants\r\n" % n for n in range(3)])
    await home.indexer.catch_up()
    inbox = await home.mail.open(alice, "INBOX")
    copied = await home.mail.copy(alice, inbox.mailbox, uids[:1], "Archive")
    assert await may_hold(home, "elephants", "Archive") == list(copied.target)
    await home.mail.expunge(alice, inbox.mailbox, uids[:2], deleted_only=False)
    await home._sweeper.sweep()
    await home.indexer.catch_up()
    reader = text_index.connect(tmp_path / "store", writer=False)
    assert len(reader.execute("SELECT rowid FROM texts(?)", (text_index.terms("ele"),)).fetchall()) == 2
    reader.close()
    assert await may_hold(home, "elephants") == [uids[2]]


async def waiting(home: EmbeddedStore, tmp_path: Path) -> list[int]:
    """What the index will look for again, and what searches read until then: the same in these tests."""
    reader = text_index.connect(tmp_path / "store", writer=False)
    blobs, partial = (reader.execute(f"SELECT blob FROM {table}").fetchall() for table in ("again", "partial"))
    reader.close()
    assert blobs == partial
    return [blob for (blob,) in blobs]


async def test_what_went_before_it_was_indexed_leaves_no_trace(home: EmbeddedStore, tmp_path: Path) -> None:
    """Or a server that is never restarted would remember all of it, and each search read through that."""
    alice = await account(home)
    uids = await put(home, [b"Subject: %d\r\n\r\nelephants\r\n" % n for n in range(5)])
    inbox = await home.mail.open(alice, "INBOX")
    await home.mail.expunge(alice, inbox.mailbox, uids[1:4], deleted_only=False)
    await home._sweeper.sweep()
    await home.indexer.catch_up()
    assert await waiting(home, tmp_path) == []
    await home.indexer.rebuild()
    await home.indexer.catch_up()
    assert await waiting(home, tmp_path) == []
    assert await may_hold(home, "elephants") == [uids[0], uids[4]]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A message that is large enough for a segment of its own."""
    monkeypatch.setattr(incoming, "ALONE", 1_000)
    monkeypatch.setattr(incoming, "_IN_THREAD", 1_000)
    return b"Subject: large\r\n\r\n" + b"elephants\r\n" * 100


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_large_message_that_others_overtake_is_indexed(
    meanwhile: bool, home: EmbeddedStore, tmp_path: Path, alone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is given before theirs, and committed after: when they are in the index, or while they are read for it."""
    goes_on = threading.Event()
    write_alone, read = incoming.write_alone, home.indexer._texts.read

    def slowly(*arguments: Any) -> int:
        goes_on.wait(60)
        return write_alone(*arguments)

    async def read_and_store(*arguments: Any, **named: Any) -> blob_texts.Read:
        goes_on.set()
        await asyncio.wait([storing])
        return await read(*arguments, **named)

    monkeypatch.setattr(incoming, "write_alone", slowly)
    storing = asyncio.create_task(put(home, [alone]))
    while not home._state.coming:
        await asyncio.sleep(0.001)
    [small] = await put(home, [b"Subject: small\r\n\r\nelephants\r\n"])
    if meanwhile:
        monkeypatch.setattr(home.indexer._texts, "read", read_and_store)
    await home.indexer.catch_up()
    assert await waiting(home, tmp_path) == ([] if meanwhile else [1])
    goes_on.set()
    [large] = await storing
    home.indexer._listed = True  # as after a restart
    await home.indexer.catch_up()
    assert await waiting(home, tmp_path) == []
    assert await may_hold(home, "elephants") == [small, large]
    assert await may_hold(home, "giraffes") == []


@pytest.mark.parametrize("fault", ["", "disk", "quota"])
async def test_a_large_message_that_came_or_failed_is_not_waited_for(
    fault: str, home: EmbeddedStore, alone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fault == "disk":
        monkeypatch.setattr(incoming, "write_alone", full)
    quota = 1_000 if fault == "quota" else 0
    bob = (await home.directory.add_account("bob@example.test", HASHES, quota=quota)).id
    with pytest.raises((StoreUnavailable, OverQuota)) if fault else nullcontext():
        await home.mail.append(bob, "INBOX", [NewMessage(Spool.of(alone))])
    assert home._state.coming == set()


async def test_a_search_does_not_read_the_whole_mailbox(home: EmbeddedStore, tmp_path: Path) -> None:
    await put(home, [b"Subject: 1\r\n\r\nelephants\r\n"])
    await home.indexer.catch_up()
    reader = text_index.connect(tmp_path / "store", writer=False)
    plan = [row[3] for row in reader.execute("EXPLAIN QUERY PLAN " + text_index._NAMING, ('"ele"', 1))]
    reader.close()
    steps = [step for step in plan if "mail.messages" in step or " m " in step]
    assert len(steps) == 3
    assert all("messages_by_blob (blob" in step for step in steps), plan


async def test_what_cannot_be_indexed_wholly_always_counts(home: EmbeddedStore) -> None:
    long = b"Subject: long\r\n\r\n" + b"words and words \r\n" * (MAX_TEXT // 16) + b"the end\r\n"
    assert full_text(long).is_whole is False
    huge = b"Subject: huge\r\n\r\n" + b"x" * (blob_texts.MAX_MESSAGE + 1)
    swollen = "Subject: swollen\r\n\r\n{}\r\n".format("\ufdfa" * 50_000).encode()  # eighteen letters each, once folded
    assert full_text(swollen).is_whole is True
    assert len(words(1, full_text(swollen)).body.decode()) < 1.1 * MAX_WORDS
    uids = await put(home, [long, huge, swollen, b"Subject: short\r\n\r\nwords\r\n"])
    await home.accept(Spool.of(b"Subject: out\r\n\r\nwords\r\n"), [], Relay("Q1", "", [("bob@example.net", {})]))
    await home.indexer.catch_up()
    assert await may_hold(home, "the end") == uids[:3]
    assert await may_hold(home, "short") == uids


async def test_a_fault_makes_searches_slow_not_wrong(home: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(home, [b"Subject: first\r\n\r\nelephants\r\n"])
    await home.indexer.catch_up()

    def broken(*_: object) -> list[int]:
        raise apsw.CorruptError("disk image is malformed")

    monkeypatch.setattr(text_index, "naming", broken)
    assert await may_hold(home, "elephants") is None


async def test_it_runs_by_itself_once_mail_stops_arriving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, object]] = []
    monkeypatch.setattr(indexer, "_TICK", 0.01)
    monkeypatch.setattr(indexer, "_PAUSE", 0.01)
    store = await EmbeddedStore.open(tmp_path / "store", observer=lambda event, **facts: events.append((event, facts)))
    await store.directory.add_domain("example.test")
    alice = (await store.directory.add_account("alice@example.test", HASHES)).id
    await put(store, [b"Subject: %d\r\n\r\nelephants\r\n" % n for n in range(120)])
    view = await store.mail.open(alice, "INBOX")
    for _ in range(300):
        found = await store.mail.may_hold(alice, view.mailbox, "giraffes")
        if found == []:
            break
        await asyncio.sleep(0.01)
    assert (found, events) == ([], [])
    await store.close()
