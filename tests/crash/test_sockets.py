"""The real server under a mixed load over its real ports, killed with SIGKILL at any instant.

After each restart, through the ports: every acknowledged thing is there exactly once, everything else wholly or not at
all, and what went out to the world went at least once, twice only when a kill came before the reply was recorded.
`make crash KILLS=1000` is the nightly form.
"""

import os
import random
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.crash.launcher import POINTS
from tests.crash.ledger import Box
from tests.crash.people import CROWDED, Lost, Person, Wire, key_of
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.crash.sink import Sink, running_sink

from pillarbox.server.control import ControlError

pytestmark = [  # imaplib and poplib leave their sockets to the collector when a greeting is cut
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PEOPLE = 4
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


@dataclass
class Town:
    """Server, people, the world, and what the administrator did."""

    child: Child
    sink: Sink
    people: list[Person] = field(default_factory=list)
    spare: dict[str, bool] = field(default_factory=dict)
    spare_pending: str | None = None
    common: set[str] = field(default_factory=set)
    validity: int = 0

    def found(self) -> None:
        """Accounts, in a first life that nobody ends."""
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

    def _start(self, *death: str) -> None:
        self.sink.life += 1
        self.child.start(*death)

    def live(self, chance: random.Random, *death: str) -> None:
        """One life under load, ended at a random instant or at a point."""
        self._start(*death)
        workers = [threading.Thread(target=p.work, args=(random.Random(chance.random()),)) for p in self.people]
        workers.append(threading.Thread(target=self._administer, args=(chance.randrange(10**6),)))
        for worker in workers:
            worker.start()
        assert self.child.process is not None
        until = time.monotonic() + (15.0 if death else chance.uniform(0.05, 2.0))
        while self.child.process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        assert death or self.child.process.poll() is None, "the server ended by itself"
        self.child.kill()
        for worker in workers:
            worker.join()

    def _administer(self, seed: int) -> None:
        """Accounts come and go."""
        number = seed
        try:
            while True:
                name = f"spare{number % 5}@{DOMAIN}"
                number += 1
                verb = "remove_account" if self.spare.get(name) else "add_account"
                self.spare_pending = name
                self.child.control(verb, address=name, **({} if self.spare.get(name) else {"password": PASSWORD}))
                self.spare[name] = not self.spare.get(name)
                self.spare_pending = None
        except (ControlError, *Lost):
            return

    def check(self) -> None:
        """Start again and look at everything."""
        self._start()
        for person in self.people:
            person.compare()
        self._check_accounts()
        self._check_common()
        problems = self.child.control("check_store")
        assert [p for p in problems if "unknown to the index" not in p] == []
        self.child.kill()  # a kill at rest, too

    def _check_accounts(self) -> None:
        facts = {a["address"]: a for a in self.child.control("list_accounts")}
        for address, there in self.spare.items():
            if address != self.spare_pending:
                assert (address in facts) == there, address
        self.spare = {a: a in facts for a in {*self.spare, *facts} if a.startswith("spare")}
        self.spare_pending = None
        for person in self.people:
            count = sum(len(box.messages) for box in person.book.boxes.values())
            assert facts[person.address]["messages"] == count, person.address

    def _check_common(self) -> None:
        """The common mailbox has exactly what the people's have got: a message is accepted for all or for none."""
        reader = Person("common", self.child, self.people[0].trust)
        inbox = reader._read().boxes["INBOX"].messages
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

    def check_world(self) -> tuple[int, int]:
        """All that was to go out has gone; returns how many messages, and how many of them twice or more."""
        self._start()
        deadline = time.monotonic() + 60
        while self.child.control("list_queue"):
            assert time.monotonic() < deadline, self.child.control("list_queue")[:3]
            time.sleep(0.1)
        self.child.stop()
        taken: dict[str, list[int]] = {}
        for life, octets in self.sink.taken:
            taken.setdefault(key_of(octets), []).append(life)
        wanted = set().union(*(p.book.queued for p in self.people))
        assert set(taken) == wanted, set(taken) ^ wanted
        assert all(len(set(lives)) == len(lives) for lives in taken.values()), "twice without a kill"
        return len(taken), sum(len(lives) > 1 for lives in taken.values())


def survive(directory: Path, seed: int, deaths: list[tuple[str, ...]]) -> None:
    """So many lives on one data directory; an empty death is a random instant."""
    chance = random.Random(seed)
    with running_sink() as sink:
        town = Town(Child(directory, extra=RELAY.format(port=sink.port)), sink)
        try:
            town.found()
            for death in deaths:
                town.live(chance, *death)
                town.check()
            sent, twice = town.check_world()
            done = sum(p.done for p in town.people)
            print(
                f"{len(deaths)} kills: {done} operations acknowledged and kept, {sent} relayed, {twice} of them again"
            )
            assert done
            assert sent
        except AssertionError:
            print(town.child.log.read_text()[-4000:])
            raise
        finally:
            town.child.end()


def test_a_kill_under_load(tmp_path: Path) -> None:
    survive(tmp_path, 1, [()])


KILLS = int(os.environ.get("KILLS", "40"))


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
def test_many_kills_under_load(tmp_path: Path) -> None:
    """At random instants: KILLS of them, from SEED."""
    survive(tmp_path, int(os.environ.get("SEED", "2")), [()] * KILLS)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_kill_at_each_point(tmp_path: Path) -> None:
    """Before and after each step of a commit."""
    chance = random.Random(3)
    survive(
        tmp_path, 3, [(point, when, str(chance.randrange(1, 12))) for point in POINTS for when in ("before", "after")]
    )
