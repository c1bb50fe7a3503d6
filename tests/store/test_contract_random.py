"""Random operations on a home and on the memory home at once: after each, both show the same, and the invariants hold. Now and
then the home is closed and opened again: that may change nothing."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.conftest import HASHES, HOMES, message

from pillarbox.store.api import Delivery, NewMessage, Store, StoreError, StoreMode
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

NAMES = st.sampled_from(["INBOX", "Sent", "a", "a/b", "a/b/c", "b", "inbox/x", "bad//name"])
UIDS = st.lists(st.integers(1, 12), max_size=5)
FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "blue", "Blue", "$x"]), max_size=3)
NUMBERS = st.integers(0, 5)

OPERATIONS = st.one_of(
    st.tuples(st.just("append"), NAMES, st.lists(st.tuples(NUMBERS, FLAGS), max_size=3), st.none() | st.integers(1, 5)),
    st.tuples(st.just("accept"), NAMES, NUMBERS, st.booleans()),
    st.tuples(st.just("store"), NAMES, UIDS, st.sampled_from(StoreMode), FLAGS),
    st.tuples(st.just("expunge"), NAMES, st.none() | UIDS, st.booleans()),
    st.tuples(st.just("copy"), NAMES, UIDS, NAMES),
    st.tuples(st.just("move"), NAMES, UIDS, NAMES),
    st.tuples(st.just("create"), NAMES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("subscribe"), NAMES, st.booleans()),
    st.tuples(st.just("recent"), NAMES),
    st.tuples(st.just("changed"), NAMES, NUMBERS),
    st.tuples(st.just("reopen")),
)


class Home:
    """One home with one account, and the operations on it."""

    def __init__(self, store: Store, account: int, directory: Path) -> None:
        self.store, self.account = store, account
        self.directory = directory
        self.uids: dict[tuple[int, int], int] = {}
        self.modseqs: dict[tuple[int, int], int] = {}

    async def do(self, operation: tuple[Any, ...]) -> Any:
        """What came out, in a form that is the same for every home; a refusal is its type."""
        try:
            return await getattr(self, "do_" + operation[0])(*operation[1:])
        except StoreError as error:
            return type(error)

    async def box(self, name: str) -> int:
        return (await self.store.mail.open(self.account, name)).mailbox

    async def do_append(self, name: str, new: list[tuple[int, frozenset[str]]], replaces: int | None) -> Any:
        messages = [NewMessage(Spool.of(message(n)), flags, 1000 + n, replaces) for n, flags in new]
        return list((await self.store.mail.append(self.account, name, messages)).uids)

    async def do_accept(self, name: str, n: int, sent_copy: bool) -> None:
        await self.store.accept(Spool.of(message(n)), [Delivery(self.account, name, sent_copy=sent_copy)])

    async def do_store(self, name: str, uids: list[int], mode: StoreMode, flags: frozenset[str]) -> Any:
        stored = await self.store.mail.store_flags(self.account, await self.box(name), uids, mode, flags)
        return list(stored.changed), list(stored.unchanged), list(stored.failed)

    async def do_expunge(self, name: str, uids: list[int] | None, deleted_only: bool) -> Any:
        mail, box = self.store.mail, await self.box(name)
        return list(await mail.expunge(self.account, box, uids, deleted_only=deleted_only))

    async def do_copy(self, name: str, uids: list[int], target: str) -> Any:
        copied = await self.store.mail.copy(self.account, await self.box(name), uids, target)
        return list(copied.source), list(copied.target)

    async def do_move(self, name: str, uids: list[int], target: str) -> Any:
        moved = await self.store.mail.move(self.account, await self.box(name), uids, target)
        return list(moved.source), list(moved.target)

    async def do_create(self, name: str) -> Any:
        return (await self.store.mail.create(self.account, name)).name

    async def do_delete(self, name: str) -> None:
        await self.store.mail.delete(self.account, name)

    async def do_rename(self, name: str, new_name: str) -> None:
        await self.store.mail.rename(self.account, name, new_name)

    async def do_subscribe(self, name: str, subscribed: bool) -> Any:
        await self.store.mail.subscribe(self.account, name, subscribed=subscribed)
        return await self.store.mail.subscriptions(self.account)

    async def do_recent(self, name: str) -> int:
        return await self.store.mail.claim_recent(self.account, await self.box(name))

    async def do_changed(self, name: str, back: int) -> Any:
        """What a client that was away asks for: changes since the modseq of some message, as UIDs."""
        view = await self.store.mail.open(self.account, name)
        since = sorted(view.modseqs)[back] if back < len(view.modseqs) else view.highestmodseq
        gone = await self.store.mail.expunged_since(self.account, view.mailbox, since)
        return list(view.changed_since(since)), list(gone)

    async def do_reopen(self) -> None:
        if isinstance(self.store, EmbeddedStore):
            await self.store.close()
            self.store = await EmbeddedStore.open(self.directory)

    async def shows(self) -> Any:
        """Everything that can be seen, apart from identifiers."""
        shown = []
        total = 0
        for info in await self.store.mail.mailboxes(self.account):
            view = await self.store.mail.open_by_id(self.account, info.id)
            self.check(view)
            ranks = {m: i for i, m in enumerate(sorted(set(view.modseqs)))}
            records = await self.store.mail.records(self.account, info.id, view.uids)
            total += sum(view.sizes)
            shown.append((
                info.name, info.special_use, info.subscribed, view.name, view.uidnext, list(view.uids),
                [view.flags_of(u) for u in view.uids], [ranks[m] for m in view.modseqs], list(view.sizes),
                [await self.store.mail.octets(self.account, info.id, u) for u in view.uids],
                [(r.summary, r.filed_by_server) if r else None for r in records],
                list(await self.store.mail.expunged_since(self.account, info.id, 0)),
            ))  # fmt: skip
        octets, count = await self.store.mail.usage(self.account)
        assert octets == total
        assert count == sum(len(row[5]) for row in shown)
        return shown

    def check(self, view: Any) -> None:
        assert list(view.uids) == sorted(set(view.uids))
        assert len(view.uids) == len(view.flags) == len(view.modseqs) == len(view.sizes) == len(view.internaldates)
        assert max(view.modseqs, default=1) <= view.highestmodseq
        assert max(view.uids, default=0) < view.uidnext
        key = (view.mailbox, view.uidvalidity)
        assert view.uidnext >= self.uids.get(key, 1)
        assert view.highestmodseq >= self.modseqs.get(key, 1), "HIGHESTMODSEQ went back"
        self.uids[key], self.modseqs[key] = view.uidnext, view.highestmodseq


async def both(name: str, directory: Path, operations: list[tuple[Any, ...]]) -> None:
    homes = []
    for factory in (HOMES["memory"], HOMES[name]):
        store = await factory(directory / "store")
        await store.directory.add_domain("example.test")
        account = await store.directory.add_account("a@example.test", HASHES, quota=1200)
        homes.append(Home(store, account.id, directory / "store"))
    reference, home = homes
    try:
        for operation in operations:
            assert await home.do(operation) == await reference.do(operation), operation
            assert await home.shows() == await reference.shows(), operation
    finally:
        for each in homes:
            await each.store.close()


def runner(name: str, examples: int) -> Callable[[], None]:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(OPERATIONS, max_size=12))
    def run(operations: list[tuple[Any, ...]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(both(name, Path(directory), operations))

    return run


@pytest.mark.parametrize("name", sorted(HOMES))
def test_every_home_shows_the_same(name: str) -> None:
    runner(name, 40)()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(HOMES))
def test_every_home_shows_the_same_for_long(name: str) -> None:
    runner(name, 500)()
