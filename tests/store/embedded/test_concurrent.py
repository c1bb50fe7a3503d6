"""Operations that share a batch have the same effect as one after the other: the memory home says what that is."""

import asyncio
import random
import threading
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.store.conftest import HASHES, message
from tests.store.embedded.test_persistence import contents

from pillarbox.mail.summary import Summary, summarise
from pillarbox.store.api import Delivery, NewMessage, Store, StoreError, StoreMode
from pillarbox.store.embedded import EmbeddedStore, views
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool

Step = Callable[[Store, dict[str, int]], Awaitable[object]]

NAMES = ["INBOX", "Archive", "Trash"]
FLAGS = ["\\Seen", "\\Deleted", "$A", "b"]


def choose(chance: random.Random, uids: dict[str, list[int]], modseq: int, n: int) -> Step:
    """An operation on messages that were there before the round."""
    name, target = chance.choice(NAMES), chance.choice(NAMES)
    have = uids[name]
    some = chance.sample(have, min(len(have), chance.choice([1, 2, 5, 40])))
    if chance.random() < 0.5:
        some.sort()
    flags = frozenset(chance.sample(FLAGS, chance.randrange(3)))
    mode = chance.choice(list(StoreMode))
    since = chance.choice([None, None, modseq, modseq - 3])
    replaces = chance.choice(have) if have and chance.random() < 0.3 else None
    steps: list[Step] = [
        lambda s, ids: s.mail.append(1, name, [NewMessage(Spool.of(message(n)), flags, n, replaces)]),
        lambda s, ids: s.mail.append(1, name, [NewMessage(Spool.of(message(n)), flags, n)] * 3),
        lambda s, ids: s.accept(Spool.of(message(n)), [Delivery(1, name, flags), Delivery(2), Delivery(1, target)]),
        lambda s, ids: s.accept(Spool.of(message(n % 7)), [Delivery(1, name, flags, sent_copy=True)]),
        lambda s, ids: s.mail.store_flags(1, ids[name], some, mode, flags, unchanged_since=since),
        lambda s, ids: s.mail.store_flags(1, ids[name], have, mode, flags),
        lambda s, ids: s.mail.copy(1, ids[name], some, target),
        lambda s, ids: s.mail.move(1, ids[name], some, target),
        lambda s, ids: s.mail.expunge(1, ids[name], have),
        lambda s, ids: s.mail.expunge(1, ids[name], some[:2], deleted_only=False),
        lambda s, ids: s.mail.create(1, f"new/{n % 5}"),
        lambda s, ids: s.mail.rename(1, f"new/{n % 5}", f"other/{n % 3}"),
        lambda s, ids: s.mail.subscribe(1, f"x{n % 3}", subscribed=n % 2 == 0),
    ]
    return chance.choices(steps, [3, 1, 3, 2, 8, 4, 3, 3, 2, 4, 0.5, 0.5, 0.5])[0]


def plain(result: object) -> object:
    """A result without what each home chooses for itself."""
    if isinstance(result, StoreError):
        return type(result), str(result)
    if isinstance(result, BaseException):
        raise result
    fields = ("mailbox", "uids", "source", "target", "changed", "unchanged", "failed", "modseq", "name")
    if isinstance(result, list | range | tuple | array) or result is None:
        return list(result or ())
    return [v if isinstance(v, int | str) else list(v) for f in fields if (v := getattr(result, f, None)) is not None]


async def look(store: Store) -> object:
    """Everything that both homes must agree on."""
    said: list[object] = []
    for account in (1, 2):
        said += [await store.mail.usage(account), await store.mail.subscriptions(account)]
        for info in await store.mail.mailboxes(account):
            view = await store.mail.open_by_id(account, info.id)
            everything = list(contents(view))  # type: ignore[call-overload]
            del everything[1], everything[3]  # uidvalidity and object_id
            said += [everything, list(await store.mail.expunged_since(account, info.id, 0))]
            for uid in view.uids:
                said.append(await store.mail.octets(account, info.id, uid))
    return said


@pytest.mark.parametrize("seed", range(6))
async def test_together_as_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(views, "_SMALL", 50)
    chance = random.Random(seed)
    clock = lambda: 1_700_000_000.0  # noqa: E731
    together, single = await EmbeddedStore.open(tmp_path, clock=clock), MemoryStore(clock)
    for store in (together, single):
        await store.directory.add_domain("example.test")
        await store.directory.add_account("alice@example.test", HASHES, quota=30_000)
        await store.directory.add_account("bob@example.test", HASHES)
    for round_ in range(25):
        opened = [await single.mail.open(1, name) for name in NAMES]
        uids = {view.name: list(view.uids) for view in opened}
        modseq = max(view.highestmodseq for view in opened)
        ids = {view.name: view.mailbox for view in opened}
        for name in NAMES:
            assert (await together.mail.open(1, name)).mailbox == ids[name]
        steps = [choose(chance, uids, modseq, 100 * round_ + i) for i in range(chance.choice([1, 5, 30]))]
        results = await asyncio.gather(*[step(together, ids) for step in steps], return_exceptions=True)
        expected = [(await asyncio.gather(step(single, ids), return_exceptions=True))[0] for step in steps]
        assert [plain(r) for r in results] == [plain(e) for e in expected]
        assert await look(together) == await look(single)
    assert [p async for p in together.check.problems(repair=False)] == []
    await together.close()
    again = await EmbeddedStore.open(tmp_path)
    assert await look(again) == await look(single)
    await again.close()


async def test_headers_made_to_be_slow_are_parsed_beside_the_event_loop(
    store: EmbeddedStore, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large as port 25 takes them, they cost a fifth of a second."""
    threads: list[int] = []

    def watched(octets: bytes, *, brief: bool = False) -> Summary:
        threads.append(threading.get_ident())
        return summarise(octets, brief=brief)

    monkeypatch.setattr("pillarbox.mail.summary.summarise", watched)
    await store.accept(Spool.of(b"To: " + b"(" * 200_000 + b"\r\n\r\nx"), [Delivery(alice)], None, trace_id="q1")
    assert threads
    assert threading.get_ident() not in threads
