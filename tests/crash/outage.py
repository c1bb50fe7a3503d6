"""A server whose every step on the disk is recorded while people use its ports, and what they had been promised at any of them.

Everybody reads the number of events after each answer: what was acknowledged is kept by whatever is left after so many events.
What was begun before an event and answered after it may be there, wholly, or not.
"""

import imaplib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import tape
from tests.crash.ledger import Box, Operation
from tests.crash.people import CHANGES, COMMON, OWN, Lost, Person, Wire, key_of
from tests.crash.recording import Event
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.crash.sink import Sink, Taken
from tests.crash.town import KINDS, PEOPLE, RELAY, real

from pillarbox.server.control import ControlError
from pillarbox.store.embedded.segments import numbers

SWEEPING = 20.0
"""Seconds in which segments of which much has gone are compacted."""

Thing = tuple[str, str]
"""What an administrator makes: kind, name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was acknowledged: begun when there had been at least so many events, answered when so many at most."""

    begun: int
    done: int
    operation: Operation


@dataclass
class Diary(Wire):
    """A ledger that remembers when."""

    count: Callable[[], int] = lambda: 0
    entries: list[Entry] = field(default_factory=list)

    def apply(self, operation: Operation, result: object) -> None:
        self.entries.append(Entry(self.entries[-1].done if self.entries else 0, self.count(), operation))
        super().apply(operation, result)


class Told(dict[str, int]):
    """The HIGHESTMODSEQ that was announced last for each mailbox; `when` are all of them, each with the number of events."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self.when: list[tuple[int, str, int]] = []

    def __setitem__(self, name: str, modseq: int) -> None:
        super().__setitem__(name, modseq)
        self.when.append((self._count(), name, modseq))


class Arrivals(list[Taken]):
    """What a sink takes, with the number of events before it said so."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self.when: list[int] = []

    def append(self, taken: Taken) -> None:
        self.when.append(self._count())
        super().append(taken)


@dataclass
class Recording:
    """All that happened: `arrived` is when the world had each message, by its key."""

    events: list[Event]
    people: dict[str, list[Entry]]
    told: dict[str, list[tuple[int, str, int]]]
    managed: list[Entry]
    arrived: dict[str, int]

    @property
    def performed(self) -> Counter[str]:
        """What people were promised, by kind."""
        return Counter(str(entry.operation[0]) for entries in self.people.values() for entry in entries)

    @property
    def compacted(self) -> int:
        """Segments that were removed."""
        return sum(e.kind == "remove" and e.path.endswith(".segment") for e in self.events)


class Recorded:
    """The server and everybody who uses it. `work` is one life; `operations` are each person's."""

    def __init__(self, directory: Path, sink: Sink) -> None:
        self.child = Child(directory, extra=RELAY.format(port=sink.port))
        self._count = tape.Count.make(self.child.faults)
        (self.child.faults / "recorded").write_text(str(self.child.data))
        self._arrivals = Arrivals(self._count)
        sink.taken = self._arrivals
        self._people: list[Person] = []
        self._managed: list[Entry] = []
        self._wrong: list[str] = []

    def found(self) -> None:
        """A first life: accounts are made."""
        self.child.start()
        for name in ("common", *(f"p{number}" for number in range(PEOPLE))):
            self._manage("account", f"{name}@{DOMAIN}", there=True)
        trust = self.child.trust()
        for number in range(PEOPLE):
            person = Person(f"p{number}", self.child, trust, Diary(boxes=first_boxes(), count=self._count))
            person.modseqs = Told(self._count)
            self._people.append(person)
        self.child.stop()

    def work(self, chance: random.Random, operations: int, *, watched: bool = True) -> None:
        """Another life, which ends in order when everybody has done so much. `watched`: fsck runs now
        and then, beside them; and whatever an honest server would not say is an error."""
        self.child.start()
        over = threading.Event()
        workers = [
            threading.Thread(target=self._live, args=(p, random.Random(chance.random()), operations))
            for p in self._people
        ]
        others = [threading.Thread(target=self._administer, args=(over,))]
        if watched:
            house = threading.Thread(target=self._keep_house, args=(over, random.Random(chance.random())))
            others.append(house)
        for worker in (*workers, *others):
            worker.start()
        for worker in workers:
            worker.join()
        over.set()
        for worker in others:
            worker.join()
        deadline = time.monotonic() + SWEEPING
        while watched and not self._is_compacted() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.child.stop()
        wrong = [*self._wrong, *(r for p in self._people for r in p.refused)]
        assert not watched or wrong == []

    def result(self) -> Recording:
        """When it does not run."""
        return Recording(
            tape.read(self.child.faults),
            {p.name: p.book.entries for p in self._people if isinstance(p.book, Diary)},
            {p.name: p.modseqs.when for p in self._people if isinstance(p.modseqs, Told)},
            self._managed,
            {key_of(taken.octets): when for taken, when in zip(self._arrivals, self._arrivals.when, strict=True)},
        )

    def _is_compacted(self) -> bool:
        files = numbers(self.child.data / "segments")
        return len(files) < files[-1]

    def _live(self, person: Person, chance: random.Random, operations: int) -> None:
        try:
            imap = person.log_in()
            for name in OWN[2:]:
                if name not in person.book.boxes:
                    person._do(imap, ["create", name])
            for number in range(operations):
                if number == operations // 2:
                    self._tidy_up(person, imap)
                person._do(imap, person._choose(chance))
            imap.logout()
        except Exception as error:  # whatever it is, it should not have been
            self._wrong.append(f"{person.name}, {person.pending}: {error!r}")

    def _tidy_up(self, person: Person, imap: imaplib.IMAP4_SSL) -> None:
        """So much goes that segments are compacted."""
        for name in OWN[2:]:
            if uids := sorted(person.book.boxes[name].messages):
                person._do(imap, ["expunge", name, list(uids)])

    def _manage(self, kind: str, name: str, *, there: bool) -> None:
        more: dict[str, Any] = {"account": {"password": PASSWORD}, "alias": {"targets": [COMMON]}, "domain": {}}[kind]
        subject = "domain" if kind == "domain" else "address"
        begun = self._count()
        self.child.control(f"{'add' if there else 'remove'}_{kind}", **{subject: name}, **(more if there else {}))
        self._managed.append(Entry(begun, self._count(), [kind, name, there]))

    def _administer(self, over: threading.Event) -> None:
        number = len(self._managed)
        try:
            while not over.wait(0.02):
                kind = list(KINDS)[number % 3]
                name = KINDS[kind].format(number % 5)
                number += 1
                self._manage(kind, name, there=not things(self._managed, self._count())[0].get((kind, name)))
        except (ControlError, *Lost) as error:
            self._wrong.append(f"the administrator: {error!r}")

    def _keep_house(self, over: threading.Event, chance: random.Random) -> None:
        try:
            while not over.wait(chance.uniform(0, 0.6)):
                if chance.random() < 0.3:
                    self.child.control("rebuild_index")
                else:
                    self._wrong += real(self.child.control("check_store", repair=chance.random() < 0.5))
        except (ControlError, *Lost) as error:
            self._wrong.append(f"the housekeeper: {error!r}")


def first_boxes() -> dict[str, Box]:
    """What a new account has."""
    return {"INBOX": Box(), "Sent": Box()}


class Replay:
    """One person's ledger as of an event; each time a later one."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._book = Wire(boxes=first_boxes())
        self._next = 0

    def at(self, event: int) -> tuple[Wire, Operation | None]:
        """What was acknowledged by then, and what had been begun; the book changes with the next call."""
        while self._next < len(self.entries) and self.entries[self._next].done <= event:
            self._book.apply(self.entries[self._next].operation, None)
            self._next += 1
        begun = [e.operation for e in self.entries[self._next : self._next + 1] if e.begun < event]
        return self._book, begun[0] if begun else None

    def changes(self, since: int, until: int) -> int:
        """Commits that this person waited for, each wholly between two events."""
        return sum(since < e.begun and e.done <= until and e.operation[0] in CHANGES for e in self.entries)


def things(entries: list[Entry], event: int) -> tuple[dict[Thing, bool], Thing | None]:
    """What an administrator had made by an event, or removed again, and the one that was at it then."""
    made: dict[Thing, bool] = {}
    for entry in entries:
        kind, name, there = entry.operation
        if entry.done > event:
            return made, (str(kind), str(name)) if entry.begun < event else None
        made[str(kind), str(name)] = bool(there)
    return made, None
