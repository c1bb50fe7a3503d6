"""A POP3 session while others deliver, flag, move and expunge at random: what it was told at first stays true, what it reads is
the message or a clear no, and QUIT removes exactly what was marked. On both homes of the store."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pop3.client import ALICE, NO_HASHES, Office, Pop3Client

from pillarbox.store.api import NewMessage, Store, StoreMode
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool

ROUNDS = 40


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    home: Store = MemoryStore() if request.param == "memory" else await EmbeddedStore.open(tmp_path)
    await home.directory.add_domain("example.test")
    await home.directory.add_account(ALICE, NO_HASHES)
    yield home
    await home.close()


class Others:
    """Everybody else who works on the account."""

    def __init__(self, store: Store, source: random.Random) -> None:
        self.store = store
        self.source = source
        self.count = 0
        self.contents: dict[int, bytes] = {}

    async def deliver(self) -> None:
        self.count += 1
        octets = b"Subject: %d\r\n\r\n" % self.count + b".line\r\n" * self.source.randrange(4)
        appended = await self.store.mail.append(1, "INBOX", [NewMessage(Spool.of(octets))])
        self.contents[appended.uids[0]] = octets

    async def disturb(self) -> None:
        """One change."""
        view = await self.store.mail.open(1, "INBOX")
        chosen = [uid for uid in view.uids if self.source.random() < 0.1]
        match self.source.randrange(5):
            case 0 | 1:
                await self.deliver()
            case 2:
                await self.store.mail.store_flags(
                    1, view.mailbox, chosen, StoreMode.ADD, frozenset({"\\Deleted", "\\Seen"})
                )
            case 3:
                await self.store.mail.expunge(1, view.mailbox, None)
            case 4:
                await self.store.mail.move(1, view.mailbox, chosen, "Archive")

    async def there(self) -> list[int]:
        return list((await self.store.mail.open(1, "INBOX")).uids)


async def read(client: Pop3Client, number: int) -> bytes | None:
    """A message's octets; None when the server says that it is gone."""
    reply = await client.send(b"RETR %d\r\n" % number)
    if reply.startswith(b"-ERR [SYS/TEMP] The message was deleted by another program"):
        return None
    first, _, body = reply.partition(b"\r\n")
    assert first.startswith(b"+OK ")
    return body.removesuffix(b".\r\n").replace(b"\n..", b"\n.")


@pytest.mark.parametrize("seed", range(2))
async def test_session_among_others(store: Store, seed: int) -> None:
    source = random.Random(seed)
    others = Others(store, source)
    for _ in range(12):
        await others.deliver()
    for _session in range(3):
        office = Office(store)  # type: ignore[arg-type]
        snapshot = await others.there()
        client = await office.login()
        ids, sizes = await client.lines("UIDL"), await client.lines("LIST")
        assert [int(line.split()[1]) for line in sizes] == [len(others.contents[uid]) for uid in snapshot]
        marked: set[int] = set()
        for _ in range(ROUNDS):
            await others.disturb()
            number = source.randrange(len(snapshot)) + 1 if snapshot else 1
            if not snapshot or number in marked:
                assert (await client.say(f"RETR {number}")).startswith("-ERR ")
            elif source.random() < 0.2:
                assert (await client.say(f"DELE {number}")).startswith("+OK")
                marked.add(number)
            else:
                octets = await read(client, number)
                gone = snapshot[number - 1] not in await others.there()
                assert octets == (None if gone else others.contents[snapshot[number - 1]])
            kept = [i for i in range(len(snapshot)) if i + 1 not in marked]
            assert await client.lines("UIDL") == [ids[i] for i in kept]
            assert await client.lines("LIST") == [sizes[i] for i in kept]
        before = await others.there()
        assert (await client.say("QUIT")).startswith("+OK")
        client.engine.disconnected()
        assert await others.there() == [uid for uid in before if uid not in {snapshot[n - 1] for n in marked}]
