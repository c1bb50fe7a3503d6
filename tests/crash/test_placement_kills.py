"""The server is killed at each step of writing the copy of where everything is, and then its index is lost as well: what the
copy, old or new, and the segments make of it is everything that was acknowledged, as it was."""

import asyncio
import random
import threading
import time
from itertools import count
from pathlib import Path

import apsw
import pytest
from tests.crash.launcher import SMALL_ALONE
from tests.crash.people import Lost, Person
from tests.crash.points import PLACING
from tests.crash.server import Child
from tests.crash.sink import running_sink
from tests.crash.town import RELAY, Town

from pillarbox.store.embedded import rebuild as rebuilding
from pillarbox.store.embedded import segments
from pillarbox.store.embedded.placements import PLACEMENTS_FILE
from pillarbox.store.embedded.rebuild import Rebuilt, rebuild
from pillarbox.store.embedded.schema import INDEX_FILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TWICE = ("placements._write:unlink", "placements._write:fsync")
"""Points that each copy passes twice: before and after its name is there."""

PATIENCE = 20.0


def deliver(person: Person, prefix: str, number: int = 10**9) -> None:
    """Mail comes in, so many messages or until the line breaks; what else people do later than the copy would not come back."""
    try:
        imap = person.log_in()
        for n in count() if number > 1000 else range(number):
            person._do(imap, ["incoming", f"{person.name}-{prefix}-{n}"])
    except Lost:
        return


def last_blob(database: Path) -> int:
    """The newest message that an index, or the copy of one, has."""
    if not database.exists():
        return -1
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("SELECT max(id) FROM blobs").get or 0)
    finally:
        connection.close()


def settle(town: Town, name: str) -> None:
    """Look at everything; then all has gone out (nobody sends it again after a rebuild), and the copy has all that there is,
    the common mailbox's tidying up included, since a message that came later is in it."""
    town.check()
    for person in town.people:
        deliver(person, name, 1)
    deadline = time.monotonic() + PATIENCE
    data = town.child.data
    while town.child.control("list_queue") or last_blob(data / PLACEMENTS_FILE) < last_blob(data / INDEX_FILE):
        assert time.monotonic() < deadline, "no complete copy was made"
        time.sleep(0.05)


def clear_away(data: Path) -> None:
    """Of a large message that a kill cut off before its commit, octets lie in a segment of their own. The ledger then has it
    as never come; a rebuild, which cannot know that anyone judged, would bring it back."""
    connection = apsw.Connection(str(data / INDEX_FILE), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        committed = {segment for (segment,) in connection.execute("SELECT id FROM segments")}
    finally:
        connection.close()
    for number in segments.numbers(data / "segments"):
        if number not in committed:
            segments.path_of(data / "segments", number).unlink()


def lose_the_index(town: Town) -> Rebuilt:
    """It is gone; another is made. Mailboxes are told apart from those before."""
    for ending in ("", "-wal", "-shm"):
        (town.child.data / f"{INDEX_FILE}{ending}").unlink(missing_ok=True)
    made = asyncio.run(rebuild(town.child.data))
    for person in town.people:
        person.validities.clear()
    return made


def test_killed_while_the_copy_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        rebuilding, "ALONE", SMALL_ALONE
    )  # as the server has it: these get their numbers before their commit
    chance = random.Random(11)
    with running_sink() as sink:
        town = Town(Child(tmp_path, extra=RELAY.format(port=sink.port)), sink)
        wanted = [
            (label, when, number)
            for label in PLACING for number in ("1", "2")[: 1 + (label in TWICE)] for when in ("before", "after")
        ]  # fmt: skip
        try:
            town.found()
            town.live(chance, operations=150)
            clear_away(town.child.data)
            settle(town, "before")
            placed = 0
            for n, death in enumerate(wanted):
                town.start(*death)
                workers = [threading.Thread(target=deliver, args=(p, f"at{n}")) for p in town.people]
                for worker in workers:
                    worker.start()
                assert town.child.process is not None
                town.child.process.wait(timeout=PATIENCE)
                for worker in workers:
                    worker.join()
                assert town.child.fired[n:] == [death[:2]]
                made = lose_the_index(town)
                assert made.placed, f"no sound copy after a kill {death}"
                assert (made.placed >= placed, made.lost, made.closed, made.unreadable) == (True, 0, [], []), death
                placed = made.placed
                settle(town, f"then{n}")
            assert not list(town.child.data.glob(f"{PLACEMENTS_FILE}?*")), "what kills left behind is swept up"
            print(f"{len(wanted)} kills while the copy was written, {town.done}")
        finally:
            town.child.end()
