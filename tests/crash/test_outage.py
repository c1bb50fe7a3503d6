"""The power fails while people use the real server's ports: at no instant is anything lost that they had been promised.

One server, in three lives, is recorded (`outage`): every write, name and fsync of its segments, its databases and its small
files, in order. After any of them an image of what a disk might hold then is made (`recording`), and compared with the
clients' ledgers as of that instant (`judge`): most images by the store and fsck, some by starting the server on them and
asking it through its ports. PREFIXES is how many instants, spread over all of them (`all`: each one); WORK is how much each
person does in each life.
"""

import asyncio
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from tests.crash.aftermath import Disk, instants
from tests.crash.judge import Judge
from tests.crash.outage import Recorded, Recording
from tests.crash.recording import Event
from tests.crash.server import Child
from tests.crash.sink import running_sink
from tests.crash.town import RELAY

from pillarbox.store.embedded.schema import INDEX_FILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(100_000),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PREFIXES = os.environ.get("PREFIXES", "150")
SEED = int(os.environ.get("SEED", "2"))
WORK = int(os.environ.get("WORK", "30"))
"""Operations of each person, in each of two lives."""

STARTED = 25
"""One image of so many is looked at through the ports."""

LATER = 5
"""In one of so many it is looked whether what comes afterwards is kept."""


def record(directory: Path, seed: int, operations: int, mutation: str = "") -> tuple[Recording, Path]:
    """People's work, and the data directory that it was done in."""
    chance = random.Random(seed)
    with running_sink() as sink:
        server = Recorded(directory, sink)
        try:
            server.found()
            if mutation:
                (server.child.faults / "mutation").write_text(mutation)
            for _ in range(2):
                server.work(chance, operations, watched=not mutation)
        except BaseException:
            print(server.child.log.read_text()[-4000:])
            raise
        finally:
            server.child.end()
        return server.result(), server.child.data


class Images:
    """Images of a disk, one at a time, with the inode of the index as it was: the full-text index knows its own by that."""

    def __init__(self, data: Path, place: Path) -> None:
        self.disk = Disk(data)
        self._place = place
        self._index = place / "index"
        place.mkdir()
        os.link(data / INDEX_FILE, self._index)

    def make(self, chance: random.Random) -> tuple[Path, str]:
        """What might be left now, and how that was chosen."""
        image = self._place / "image"
        shutil.rmtree(image, ignore_errors=True)
        how = self.disk.image(image, chance)
        if (image / INDEX_FILE).exists():
            self._index.write_bytes((image / INDEX_FILE).read_bytes())
            (image / INDEX_FILE).unlink()
            os.link(self._index, image / INDEX_FILE)
        return image, how


def look(recording: Recording, data: Path, place: Path, seed: int, prefixes: str, *, started: int = STARTED) -> Disk:
    """After so many events, or all, make an image and check it. Raises AssertionError."""
    events = recording.events
    chance = random.Random(seed)
    wanted = sorted(instants(len(events), prefixes, chance))
    number_of = len(wanted)
    images, judge = Images(data, place), Judge(recording)
    found: Counter[str] = Counter()
    with running_sink() as sink:
        child = Child(place / "server", extra=RELAY.format(port=sink.port))
        for number, event in enumerate(events):
            images.disk.add(event)
            if not wanted or wanted[0] != number:
                continue
            wanted.pop(0)
            image, how = images.make(random.Random(f"{seed} {number}"))
            through_ports = chance.random() * started < 1
            try:
                if through_ports:
                    judge.start(image, child, sink, number + 1)
                else:
                    asyncio.run(judge.check(image, number + 1, later=chance.random() * LATER < 1))
            except Exception as error:
                what = f"seed {seed}, event {number} ({event.kind} {event.path}), {how} kept"
                raise AssertionError(f"{what}, {through_ports=}: {error!r}") from error
            finally:
                child.end()
            found[how] += 1
            found["by ports"] += through_ports
            if (number_of - len(wanted)) % 500 == 0:
                print(number + 1, "events so far:", dict(found), flush=True)
    performed = recording.performed
    print(f"{performed.total()} operations ({dict(performed)}), {len(recording.managed)} of the administrator")
    print(f"{len(events)} events, {recording.compacted} segments compacted; images by what was kept: {dict(found)}")
    return images.disk


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Path]:
    """One recording for all."""
    return record(tmp_path_factory.mktemp("recorded"), SEED, WORK)


def test_power_fails_at_any_instant(recorded: tuple[Recording, Path], tmp_path: Path) -> None:
    recording, data = recorded
    assert recording.compacted
    there = {
        str(path): path.read_bytes()
        for path in data.rglob("*")
        if path.is_file() and path.name not in ("lock", "backup.lock") and not path.name.endswith("-shm")
    }
    disk = look(recording, data, tmp_path / "images", SEED, PREFIXES)
    kept = disk.everything()
    there[str(data / INDEX_FILE)] = kept[str(data / INDEX_FILE)]  # images were made of it
    assert {path for path in there.keys() | kept.keys() if there.get(path) != kept.get(path)} == set(), "not recorded"


FORGETFUL = {
    "octets": lambda e: e.kind == "sync" and e.path.endswith(".segment"),
    "names": lambda e: e.kind == "sync-folder" and e.path.endswith("/segments"),
    "the log of SQLite": lambda e: e.kind == "sync" and e.path.endswith("index.sqlite-wal"),
    "the index": lambda e: e.kind == "sync" and e.path.endswith("index.sqlite"),
}


@pytest.mark.parametrize("what", FORGETFUL)
def test_a_missing_fsync_is_noticed(recorded: tuple[Recording, Path], tmp_path: Path, what: str) -> None:
    """The same, on a disk that takes no notice of some of the fsyncs: each kind of them is needed."""
    recording, data = recorded

    def deaf(event: Event) -> Event:
        return Event("nothing", event.path, 0) if FORGETFUL[what](event) else event

    forgetful = Recording(
        [deaf(e) for e in recording.events], recording.people, recording.told, recording.managed, recording.arrived
    )
    with pytest.raises(AssertionError, match="event") as caught:
        look(forgetful, data, tmp_path / "images", 4, "100", started=10**9)
    print(str(caught.value)[:300])


def test_an_answer_before_its_commit_is_noticed(tmp_path: Path) -> None:
    recording, data = record(tmp_path / "recorded", 5, 15, "acknowledge_before_the_commit")
    with pytest.raises(AssertionError, match="event") as caught:
        look(recording, data, tmp_path / "images", 5, "100", started=10**9)
    print(str(caught.value)[:300])
