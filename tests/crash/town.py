"""Everybody at once on one server: people at work, an administrator, a housekeeper, and the world outside.

A life ends by SIGKILL, at a random instant or at a labelled point. After it everything is compared with the ledgers.
"""

import math
import random
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.launcher import SMALL_ALONE
from tests.crash.ledger import Box
from tests.crash.people import COMMON, CROWDED, Lost, Person, Wire, key_of
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.crash.sink import Sink, Taken

from pillarbox.server.control import ControlError
from pillarbox.store.embedded import backup
from pillarbox.store.embedded.manifest import BackupError

PEOPLE = 4
POINT_PATIENCE = 20.0
"""Seconds in which a labelled point must be reached."""

RELAY = """
[relay]
port = {port}
first_wait = 0.2
longest_wait = 1.0
[relay.smarthost]
host = "127.0.0.1"
port = {port}
security = "none"
"""

NOTICED_WITHIN = 2.0
"""Seconds within which it is noticed here that the server has died at a point."""

COMMITS_TO_RECORD = 3
"""In so many commits after the other side's 250 surely one has recorded it: the first may be under way already, the second
may take what came before."""

KINDS = {
    "account": f"spare{{}}@{DOMAIN}",
    "alias": f"other{{}}@{DOMAIN}",
    "domain": "d{}.test",
}
"""What the administrator makes and removes again."""


@dataclass
class Town:
    """`made`: whether each thing of the administrator is there; `snapshots`: backups made under load; `ends`: by when each life
    was over, by the monotonic clock; `late`: how long before the end the first of two copies was taken, at most, seconds."""

    child: Child
    sink: Sink
    people: list[Person] = field(default_factory=list)
    made: dict[tuple[str, str], bool] = field(default_factory=dict)
    undecided: tuple[str, str] | None = None
    managed: int = 0
    checked: int = 0
    snapshots: int = 0
    wrong: list[str] = field(default_factory=list)
    ends: dict[int, float] = field(default_factory=dict)
    late: float = 0.0

    @property
    def backups(self) -> Path:
        return self.child.config.parent / "backups"

    @property
    def performed(self) -> int:
        """Operations of people that were acknowledged."""
        return sum(p.done for p in self.people)

    @property
    def done(self) -> str:
        """What was acknowledged so far, for people."""
        return (
            f"{self.performed} operations of people and {self.managed} of the administrator acknowledged, "
            f"{self.checked} times fsck and {self.snapshots} backups beside them"
        )

    def found(self) -> None:
        """Accounts, in a first life that nobody ends."""
        backup.ALONE = SMALL_ALONE  # as the server has it
        self.child.start()
        for name in ("common", *(f"p{number}" for number in range(PEOPLE))):
            self.child.control("add_account", address=f"{name}@{DOMAIN}", password=PASSWORD)
        trust = ssl.create_default_context(cafile=str(self.child.data / "ca.pem"))
        for number in range(PEOPLE):
            book = Wire(boxes={"INBOX": Box(), "Sent": Box()})
            self.people.append(Person(f"p{number}", self.child, trust, book))
        for person in self.people:
            person.compare()
        self.child.stop()

    def start(self, *death: str) -> None:
        """A new life, unless one goes on and is not to end at a point."""
        if self.child.running:
            if not death:
                return
            self.child.kill()  # at rest
        self.ends[self.sink.life] = time.monotonic()
        self.sink.life += 1
        self.child.start(*death)

    def live(self, chance: random.Random, *death: str, operations: int = 0) -> None:
        """One life under load, ended after so many operations (0: at a random instant) or at a point."""
        self.start(*death)
        workers = [threading.Thread(target=p.work, args=(random.Random(chance.random()),)) for p in self.people]
        workers.append(threading.Thread(target=self._administer, args=(chance.randrange(10**6),)))
        workers.append(threading.Thread(target=self._keep_house, args=(random.Random(chance.random()),)))
        for worker in workers:
            worker.start()
        assert self.child.process is not None
        until = time.monotonic() + (POINT_PATIENCE if death or operations else chance.uniform(0.05, 1.5))
        enough = self.performed + operations
        while self.child.process.poll() is None and time.monotonic() < until:
            if operations and self.performed >= enough:
                break
            time.sleep(0.005)
        assert death or self.child.process.poll() is None, "the server ended by itself"
        killed = time.monotonic() - (NOTICED_WITHIN if death else 0.0)
        self.child.kill()
        for worker in workers:
            worker.join()
        assert [*self.wrong, *(w for p in self.people for w in p.wrong)] == []
        assert [p.name for p in self.people if p.lost_at < killed] == [], "lost the line to a server that lived"

    def _administer(self, seed: int) -> None:
        """Accounts, aliases and domains come and go."""
        number = seed
        try:
            while True:
                kind = list(KINDS)[number % 3]
                name = KINDS[kind].format(number % 5)
                number += 1
                there = self.made.get((kind, name), False)
                more = {"account": {"password": PASSWORD}, "alias": {"targets": [COMMON]}, "domain": {}}[kind]
                subject = "domain" if kind == "domain" else "address"
                self.undecided = (kind, name)
                self.child.control(
                    f"{'remove' if there else 'add'}_{kind}", **{subject: name}, **({} if there else more)
                )
                self.made[kind, name] = not there
                self.undecided = None
                self.managed += 1
        except ControlError as error:
            self.wrong.append(f"the administrator, {self.undecided}: {error}")
        except Lost:
            return

    def _keep_house(self, chance: random.Random) -> None:
        """fsck, with repair and without, backups, and the full-text index made anew, beside everybody's work."""
        try:
            while self.child.running:
                if chance.random() < 0.2:
                    self.child.control("rebuild_index")
                elif chance.random() < 0.5:
                    self._back_up()
                else:
                    self.wrong += real(self.child.control("check_store", repair=chance.random() < 0.5))
                    self.checked += 1
                time.sleep(chance.uniform(0, 0.3))
        except ControlError as error:
            self.wrong.append(f"the housekeeper: {error}")
        except Lost:
            return

    def _back_up(self) -> None:
        """It needs no server, so that none is there is no excuse."""
        try:
            backup.back_up(self.child.data, self.backups, keep=2)
            self.snapshots += 1
        except (BackupError, OSError) as error:
            self.wrong.append(f"backup: {error}")

    def check(self) -> None:
        """Look at everything; the server is started if it does not run, and goes on."""
        self.start()
        for person in self.people:
            person.compare()
        assert [r for p in self.people for r in p.refused] == [], "refused on a healthy machine, and rightly not kept"
        self._check_managed()
        self._check_common()
        assert real(self.child.control("check_store")) == []

    def _check_managed(self) -> None:
        facts = {a["address"]: a for a in self.child.control("list_accounts")}
        present = {("account", address) for address in facts}
        present |= {("alias", alias["address"]) for alias in self.child.control("list_aliases")}
        present |= {("domain", domain["domain"]) for domain in self.child.control("list_domains")}
        for thing, there in self.made.items():
            if thing != self.undecided:
                assert (thing in present) == there, thing
            elif thing in present:
                self.made[thing] = True
        if self.undecided is not None:
            self.made[self.undecided] = self.undecided in present
        self.undecided = None
        for person in self.people:
            count = sum(len(box.messages) for box in person.book.boxes.values())
            assert (facts[person.address]["messages"], facts[person.address]["octets"]) == (count, person.octets)

    def _check_common(self) -> None:
        """The common mailbox has exactly what the people's have got: a message is accepted for all or for none."""
        reader = Person("common", self.child, self.people[0].trust)
        inbox = reader.read().boxes["INBOX"].messages
        keys = Counter(key for key, _ in inbox.values())
        wanted = set().union(*(p.book.accepted for p in self.people))
        assert set(keys) == wanted, set(keys) ^ wanted
        assert set(keys.values()) <= {1}
        if len(keys) > CROWDED and reader.imap is not None:
            reader.imap.select("INBOX")
            assert reader.imap.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
            assert reader.imap.expunge()[0] == "OK"
            for person in self.people:
                person.book.accepted.clear()

    def check_world(self, patience: float = 60.0) -> tuple[int, int]:
        """All that was to go out has gone; returns how many messages, and how many of them twice or more."""
        self.start()
        deadline = time.monotonic() + patience
        while self.child.control("list_queue"):
            assert time.monotonic() < deadline, self.child.control("list_queue")[:3]
            time.sleep(0.1)
        self.child.stop()
        taken: dict[str, list[Taken]] = {}
        for copy in self.sink.taken:
            taken.setdefault(key_of(copy.octets), []).append(copy)
        wanted = set().union(*(p.book.queued for p in self.people))
        assert set(taken) == wanted, set(taken) ^ wanted
        again = [copy for copies in taken.values() for copy in copies[:-1]]
        for key, copies in taken.items():
            assert len({copy.life for copy in copies}) == len(copies), f"{key} twice without a kill"
        for copy in again:
            self._excuse(copy)
        return len(taken), sum(len(copies) > 1 for copies in taken.values())

    def _excuse(self, copy: Taken) -> None:
        """It went again. That is right if its life ended before the next commit could have recorded it: whoever changed
        something, one thing after another, waited for a commit each time."""
        end = self.ends.get(copy.life, math.inf)
        since = [sum(copy.told < begun < end for begun in p.changes) for p in self.people]
        assert max(since) < COMMITS_TO_RECORD, (
            f"{key_of(copy.octets)} went again, although its life went on for {end - copy.told:.3f} s and {since} changes"
        )
        self.late = max(self.late, end - copy.told)


def real(problems: list[str]) -> list[str]:
    """Of what fsck says that which is damage; octets whose commit did not happen any more are none."""
    return [p for p in problems if "unknown to the index" not in p]
