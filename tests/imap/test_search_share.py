"""Long searches in slices: the event loop goes on meanwhile, and one account's storm does not keep another one waiting."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.imap.client import NO_HASHES, Server

from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, indexer
from pillarbox.store.spool import Spool

BODY = b"Some words of a letter that is not looked for, in lines of a usual length.\r\n"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A mailbox of 600 messages of 10 KB and a large one, none of them indexed."""
    monkeypatch.setattr(indexer, "_TICK", 3600)
    store = await EmbeddedStore.open(tmp_path / "store")
    server = await Server.start(store)
    await fill(store, server.account.id, 600)
    large = b"Subject: large\r\n\r\n" + BODY * 20_000
    await store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(large))])
    yield server
    await store.close()


async def fill(store: EmbeddedStore, account: int, count: int) -> None:
    new = [NewMessage(Spool.of(b"X-Own: %d\r\nSubject: %d\r\n\r\n" % (n, n) + BODY * 130)) for n in range(count)]
    await store.mail.append(account, "INBOX", new)


async def others_turn() -> None:
    """What a connection does between two slices."""
    await asyncio.sleep(0)


async def longest_slice(stop: asyncio.Event) -> float:
    """The most that the loop's thread computes between two looks, in seconds of CPU: the same on a busy machine."""
    longest = 0.0
    while not stop.is_set():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
    return longest


@pytest.mark.parametrize("search", ["BODY nowhere", "HEADER X-Own nowhere", "SUBJECT nowhere", "NOT TEXT nowhere"])
async def test_the_loop_goes_on_during_a_search(search: str, server: Server) -> None:
    client = await server.client("INBOX")
    client.engine.out.on_turn = others_turn
    await client.say("NOOP")
    gc.collect()
    gc.freeze()  # as the server does: what all tests have left is not looked through
    stop = asyncio.Event()
    watching = asyncio.create_task(longest_slice(stop))
    assert (await client.say(f"UID SEARCH {search}"))[-1].startswith("OK")
    stop.set()
    longest = await watching
    gc.unfreeze()
    assert longest < 0.01  # two of the four take 20 ms in all


async def test_a_storm_of_one_account_leaves_room_for_another(server: Server) -> None:
    store = server.store
    assert isinstance(store, EmbeddedStore)
    bob = await store.directory.add_account("bob@example.org", NO_HASHES)
    await fill(store, bob.id, 30)
    storm = [await server.client("INBOX") for _ in range(10)]
    server.account = bob
    neighbour = server.connect()
    assert (await neighbour.say(f'LOGIN {bob.address} "correct horse"'))[-1].startswith("OK")
    await neighbour.say("SELECT INBOX")
    searches = [asyncio.create_task(each.say("SEARCH BODY nowhere")) for each in storm]
    await asyncio.sleep(0)
    assert (await neighbour.say("SEARCH BODY lines"))[0] == "* SEARCH " + " ".join(map(str, range(1, 31)))
    assert not any(each.done() for each in searches)
    for lines in await asyncio.gather(*searches):
        assert lines[0] == "* SEARCH"
