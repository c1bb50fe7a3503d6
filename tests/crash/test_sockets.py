"""The real server under a mixed load over its real ports, killed with SIGKILL at any instant.

After each restart, through the ports: every acknowledged thing is there exactly once, everything else wholly or not at
all, and what went out to the world went at least once, twice only when a kill came before the reply was recorded.
`make crash KILLS=1000` is the nightly form.
"""

import os
import random
import smtplib
from pathlib import Path

import pytest
from tests.crash.people import Person, Wire, body
from tests.crash.points import AT_START, GIVING_UP, IN_LIFE
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.crash.sink import running_sink
from tests.crash.town import RELAY, Town

from pillarbox.store.embedded import manifest
from pillarbox.store.embedded.snapshot import verify

pytestmark = [  # imaplib and poplib leave their sockets to the collector when a greeting is cut
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

AT_REST = 0.25
"""How often a kill under load is followed by one while nobody does anything."""

ENOUGH = 10
"""So many lives see each kind of work; in a single short one on a busy machine some may not have begun."""

Death = tuple[str, ...]


async def survive(directory: Path, seed: int, deaths: list[Death], *, points: int = 0) -> None:
    """So many lives on one data directory; an empty death is a random instant. `points` is how many are labelled."""
    chance = random.Random(seed)
    with running_sink() as sink:
        town = Town(Child(directory, extra=RELAY.format(port=sink.port)), sink)
        try:
            town.found()
            for number, death in enumerate(deaths):
                if number and number % 50 == 0:
                    print(number, "kills so far:", town.done, flush=True)
                if death and death[0] in AT_START:
                    town.start(*death)
                else:
                    town.live(chance, *death)
                following = deaths[number + 1][0] if deaths[number + 1 :] and deaths[number + 1] else ""
                if following not in AT_START:
                    town.check()
                    if chance.random() < AT_REST:
                        town.child.kill()
            sent, twice = town.check_world()
            again = f"{twice} of them again, taken {town.late:.3f} s before the kill at most"
            print(f"{len(deaths)} kills: {town.done}; all kept; {sent} relayed, {again}")
            if len(deaths) >= ENOUGH:
                assert sent
                assert {kind for kind, _ in town.made} == {"account", "alias", "domain"}
            assert town.child.fired == [(label, when) for label, when, _ in filter(None, deaths)]
            if town.snapshots:
                assert [p async for p in verify(manifest.snapshots(town.backups)[-1])] == []
        except AssertionError:
            print(town.child.log.read_text()[-4000:])
            raise
        finally:
            town.child.end()


async def test_a_kill_under_load(tmp_path: Path) -> None:
    await survive(tmp_path, 1, [()])


KILLS = int(os.environ.get("KILLS", "50"))


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
async def test_many_kills_under_load(tmp_path: Path) -> None:
    """At random instants: KILLS of them, from SEED."""
    await survive(tmp_path, int(os.environ.get("SEED", "2")), [()] * KILLS)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_kill_at_each_point(tmp_path: Path) -> None:
    """Before and after each step of a commit; each must really have come."""
    chance = random.Random(3)
    deaths: list[Death] = []
    for label in IN_LIFE:
        often = label.startswith(("segments.write:", "batch.commit:"))
        deaths += [(label, when, str(chance.randrange(1, 12 if often else 3))) for when in ("before", "after")]
    for label in AT_START:  # an empty new segment is what a start tidies up
        for when in ("before", "after"):
            deaths += [("segments.create:fsync", "after", "1"), (label, when, "1")]
    await survive(tmp_path, 3, deaths)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("label", GIVING_UP)
def test_a_kill_while_it_gives_up(tmp_path: Path, label: str, when: str) -> None:
    """The disk fills up, so something is taken back, and just then the process dies."""
    child = Child(tmp_path)
    try:
        child.start(label, when, "1")
        child.control("add_account", address=f"p0@{DOMAIN}", password=PASSWORD)
        sent = []

        def send(key: str) -> None:
            with smtplib.SMTP("127.0.0.1", child.port("smtp"), timeout=20) as client:
                client.sendmail("stranger@else.test", [f"p0@{DOMAIN}"], body(key))
            sent.append(key)

        if label not in ("segments.take_back:unlink", "segments.create:unlink"):  # no segment has anything then
            send("p0-1")
        fault = child.faults / {"segments.create:unlink": "full", "batch.commit:ROLLBACK": "full-index"}.get(
            label, "filling"
        )
        fault.write_text("")
        large = next(
            key for key in map("p0-{}".format, range(2, 99)) if (len(body(key)) > 30_000) == ("alone" in label)
        )
        with pytest.raises((OSError, smtplib.SMTPException)):
            send(large)
        assert child.process is not None
        child.process.wait(timeout=20)
        assert child.fired == [(label, when)]
        fault.unlink()
        child.start()
        send("p0-100")
        trust = child.trust()
        person = Person("p0", child, trust, Wire())
        assert [key for key, _ in person.read().boxes["INBOX"].messages.values()] == sent
        assert [p for p in child.control("check_store") if "unknown to the index" not in p] == []
    finally:
        child.end()
