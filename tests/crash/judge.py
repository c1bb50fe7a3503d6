"""What is left after a power cut, against what people had been promised by then."""

import copy
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.ledger import Box, Operation
from tests.crash.outage import Recording, Replay, Thing, things
from tests.crash.people import COMMON, FOLLOWED, OWN, Person, Wire, _boxes, _difference, body, key_of
from tests.crash.server import DOMAIN, Child
from tests.crash.sink import Sink
from tests.crash.town import COMMITS_TO_RECORD, Town, real

from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

COMMITS_SINCE = COMMITS_TO_RECORD + 1
"""One more than where the moment of the world's 250 is known: here it is that before it."""


@dataclass
class Judge:
    """Looks at images in the order of their events."""

    recording: Recording
    validities: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._replays = {name: Replay(entries) for name, entries in self.recording.people.items()}

    def started(self, event: int) -> bool:
        """Whether everybody had an account by then."""
        made, _ = things(self.recording.managed, event)
        return all(made.get(("account", f"{name}@{DOMAIN}")) for name in ("common", *self._replays))

    # As the store shows it

    async def check(self, image: Path, event: int, *, later: bool) -> None:
        """Everything; `later`: whether what comes afterwards is kept, too. Raises AssertionError."""
        store = await EmbeddedStore.open(image)
        try:
            books = await self._check_all(store, event)
            if later and self.started(event):
                common = await store.directory.account(COMMON)
                assert common is not None
                await store.mail.append(common.id, "INBOX", [NewMessage(Spool.of(body("later-1")))])
        finally:
            await store.close()
        if not later or not books:
            return
        store = await EmbeddedStore.open(image)
        try:
            if self.started(event):
                assert await self._common(store) == Counter({"later-1": 1, **dict.fromkeys(accepted(books), 1)})
            assert real([p async for p in store.check.problems(repair=False)]) == []
        finally:
            await store.close()

    async def _check_all(self, store: EmbeddedStore, event: int) -> list[Wire]:
        made, undecided = things(self.recording.managed, event)
        assert self._unlike(made, undecided, await present(store)) == []
        books = []
        for name in self._replays:
            account = await store.directory.account(f"{name}@{DOMAIN}")
            if account is not None:
                books.append(await self._check_person(store, name, account.id, event))
        assert real([p async for p in store.check.problems(repair=False)]) == []
        if not self.started(event):
            return books
        assert await self._common(store) == Counter(accepted(books)), "the common mailbox"
        await self._check_queue(store, set().union(*(b.queued for b in books)), event)
        return books

    def _unlike(self, made: dict[Thing, bool], undecided: Thing | None, there: set[Thing]) -> list[Thing]:
        known = {thing for thing, exists in made.items() if exists}
        wrong = (known ^ there) - {undecided, ("domain", DOMAIN)}
        return sorted(wrong)  # type: ignore[arg-type]

    async def _check_person(self, store: EmbeddedStore, name: str, account: int, event: int) -> Wire:
        actual = await self._read(store, name, account)
        book, pending = self._replays[name].at(event)
        chosen = fitting(book, pending, actual)
        assert chosen is not None, f"{name}, pending {pending}: {_difference(book, actual)}"
        usage = await store.mail.usage(account)
        views = [await store.mail.open_by_id(account, m.id) for m in await store.mail.mailboxes(account)]
        assert usage == (sum(sum(v.sizes) for v in views), sum(len(v.uids) for v in views))
        modseqs = {m.name: v.highestmodseq for m, v in zip(await store.mail.mailboxes(account), views, strict=True)}
        for when, mailbox, modseq in self.recording.told[name]:
            assert when > event or modseqs[mailbox] >= modseq, f"HIGHESTMODSEQ of {name}'s {mailbox} went back"
        return chosen

    async def _read(self, store: EmbeddedStore, name: str, account: int) -> Wire:
        found = Wire(subscribed=set(await store.mail.subscriptions(account)) & FOLLOWED)
        for info in await store.mail.mailboxes(account):
            if info.name not in (*OWN, "X", "Y"):
                continue
            if info.name in OWN:
                assert self.validities.setdefault((name, info.name), info.uidvalidity) == info.uidvalidity
            view = await store.mail.open_by_id(account, info.id)
            gone = list(await store.mail.expunged_since(account, info.id, 0))
            assert sorted([*gone, *view.uids]) == list(range(1, view.uidnext)), f"UIDs of {name}'s {info.name}"
            box = found.boxes[info.name] = Box(info.uidvalidity, view.uidnext)
            for uid in view.uids:
                octets = await store.mail.octets(account, info.id, uid)
                assert octets is not None
                box.messages[uid] = (key_of(octets), view.flags_of(uid) or frozenset())
        return found

    async def _common(self, store: EmbeddedStore) -> Counter[str]:
        account = await store.directory.account(COMMON)
        assert account is not None
        view = await store.mail.open(account.id, "INBOX")
        found: Counter[str] = Counter()
        for uid in view.uids:
            octets = await store.mail.octets(account.id, view.mailbox, uid)
            assert octets is not None
            found[key_of(octets)] += 1
        return found

    async def _check_queue(self, store: EmbeddedStore, queued: set[str], event: int) -> None:
        waiting: Counter[str] = Counter()
        for entry in await store.queue.entries():
            octets = await store.queue.content(entry.id)
            assert octets is not None
            waiting[key_of(octets)] += 1
        assert set(waiting.values()) <= {1}
        assert set(waiting) <= queued
        assert queued - set(waiting) <= self._arrived(event), "neither in the queue nor out"
        for key in set(waiting) & self._arrived(event):
            since = [r.changes(self.recording.arrived[key], event) for r in self._replays.values()]
            assert max(since) < COMMITS_SINCE, f"{key} is to go again, after {since} changes"

    def _arrived(self, event: int) -> set[str]:
        return {key for key, when in self.recording.arrived.items() if when <= event}

    # As the server shows it

    def start(self, image: Path, child: Child, sink: Sink, event: int) -> None:
        """Start the server on it, compare through its ports, let it relay what waits; it has ended then."""
        shutil.rmtree(child.data, ignore_errors=True)
        image.rename(child.data)
        sink.taken.clear()
        made, undecided = things(self.recording.managed, event)
        town = Town(child, sink, made=made, undecided=undecided)
        town.start()
        if not self.started(event):
            child.stop()
            return
        trust = child.trust()
        for name, replay in self._replays.items():
            book, pending = replay.at(event)
            town.people.append(Person(name, child, trust, copy.deepcopy(book), pending))
        town.check()
        queued = set().union(*(p.book.queued for p in town.people))
        arrived = self._arrived(event)
        for person in town.people:
            person.book.queued &= {key_of(copy.octets) for copy in sink.taken} | (queued - arrived)
        town.check_world()


def accepted(books: list[Wire]) -> set[str]:
    """What the common mailbox has a copy of."""
    return set().union(*(book.accepted for book in books))


def fitting(book: Wire, pending: Operation | None, actual: Wire) -> Wire | None:
    """The ledger, with what is pending or without it, whichever is there."""
    allowed = [book] if pending is None else [book.after(pending), book]  # type: ignore[list-item]
    same = [b for b in allowed if _boxes(b) == _boxes(actual) and b.subscribed == actual.subscribed]
    return same[0] if same else None  # type: ignore[return-value]


async def present(store: EmbeddedStore) -> set[Thing]:
    """What an administrator has made."""
    directory = store.directory
    return {
        *(("account", account.address) for account in await directory.accounts()),
        *(("alias", alias.address) for alias in await directory.aliases()),
        *(("domain", domain) for domain in await directory.domains()),
    }
