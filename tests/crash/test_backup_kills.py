"""Backups and restores are killed while everybody works: the next one is whole, and what comes back is there exactly once."""

import random
import threading
import time
from pathlib import Path

import pytest
from tests.crash.backing import KEEP
from tests.crash.launcher import deaths
from tests.crash.nursery import Forked
from tests.crash.people import COMMON, key_of
from tests.crash.points import BACKING_UP, RESTORING
from tests.crash.server import Child, nursery
from tests.crash.sink import running_sink
from tests.crash.town import RELAY, Town, real

from pillarbox.store.embedded import backup, manifest
from pillarbox.store.embedded.snapshot import opened, verify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RANDOM_KILLS = 10


class Office:
    """A town at work, and processes that make backups of it."""

    def __init__(self, directory: Path, town: Town) -> None:
        self.town = town
        self.deaths = directory / "deaths"
        self.deaths.mkdir()
        self._log = directory / "backing.log"
        self._workers = [
            threading.Thread(target=p.work, args=(random.Random(p.name),)) for p in town.people
        ]  # fmt: skip

    def open(self) -> None:
        self.town.start()
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """Everybody loses the line at once."""
        self.town.child.kill()
        for worker in self._workers:
            worker.join()

    def start(self, verb: str, source: Path, target: Path, *death: str) -> Forked:
        return Forked(nursery(), "backing", [verb, str(source), str(target), str(self.deaths), *death], self._log)

    def accepted(self) -> set[str]:
        """What the common mailbox must have by now."""
        return set().union(*(set(p.book.accepted) for p in self.town.people))

    def begun(self) -> set[str]:
        """What it may have besides."""
        pending = [p.pending for p in self.town.people]
        return {str(p[1]) for p in pending if p and p[0] in ("incoming", "submit")}

    async def back_up(self) -> Path:
        """One that nobody kills: it is whole, and it holds what was acknowledged before it began."""
        before = self.accepted()
        begun = self.begun()
        made = backup.back_up(self.town.child.data, self.town.backups, keep=KEEP)
        after = self.accepted() | self.begun() | begun
        assert len(manifest.snapshots(self.town.backups)) <= KEEP
        assert list(self.town.backups.glob(".unfinished*")) == []
        assert [p async for p in verify(made)] == []
        async with opened(made) as store:
            account = await store.directory.account(COMMON)
            assert account is not None
            view = await store.mail.open(account.id, "INBOX")
            found = [await store.mail.octets(account.id, view.mailbox, uid) or b"" for uid in view.uids]
        keys = [key_of(octets) for octets in found]
        assert len(keys) == len(set(keys))
        assert before <= set(keys) <= after, (before - set(keys), set(keys) - after)
        return made


async def test_backups_are_killed_while_people_work(tmp_path: Path) -> None:
    chance = random.Random(5)
    with running_sink() as sink:
        town = Town(Child(tmp_path, extra=RELAY.format(port=sink.port)), sink)
        try:
            town.found()
            office = Office(tmp_path, town)
            office.open()
            for _ in range(KEEP):
                await office.back_up()
            wanted = [(label, when) for label in BACKING_UP for when in ("before", "after")]
            for death in wanted:
                process = office.start("back-up", town.child.data, town.backups, *death)
                process.wait(timeout=60)
                assert deaths(office.deaths)[-1:] == [death]
                if chance.random() < 0.3:
                    await office.back_up()
            cut_off = 0
            for _ in range(RANDOM_KILLS):
                process = office.start("back-up", town.child.data, town.backups)
                time.sleep(chance.uniform(0, 0.3))
                process.kill()
                cut_off += process.wait() != 0
            await office.back_up()
            office.close()
            assert [*town.wrong, *(w for p in town.people for w in p.wrong)] == []
            town.check()
            town.child.stop()
            print(f"{len(wanted) + cut_off} backups killed beside {sum(p.done for p in town.people)} operations")
            await restore_and_look(office, await office.back_up(), tmp_path)
        finally:
            town.child.end()


async def restore_and_look(office: Office, made: Path, directory: Path) -> None:
    """The whole server comes back, although restoring it is killed at each point first; everybody finds everything."""
    town = office.town
    town.child.data.rename(directory / "lost")
    wanted = [(label, when) for label in RESTORING for when in ("before", "after")]
    for death in wanted:
        office.start("restore", made, town.child.data, *death).wait(timeout=60)
        assert deaths(office.deaths)[-1:] == [death]
        if death == ("snapshot.restore:rename", "after"):
            town.child.data.rename(directory / "whole")  # it was complete; once more, from nothing
    office.start("restore", made, town.child.data).wait(timeout=60)
    assert [p.name for p in directory.iterdir() if "restoring" in p.name] == []
    town.check()
    town.child.stop()


async def test_mail_comes_back_once_though_the_server_is_killed_meanwhile(tmp_path: Path) -> None:
    """The mail of one account is restored into the running server, which is killed again and again; then it is repeated."""
    chance = random.Random(6)
    with running_sink() as sink:
        town = Town(Child(tmp_path, extra=RELAY.format(port=sink.port)), sink)
        try:
            town.found()
            town.live(chance, operations=150)
            town.check()
            person = town.people[0]
            made = backup.back_up(town.child.data, town.backups)
            expected = {name: {key for key, _ in box.messages.values()} for name, box in person.book.boxes.items()}
            town.child.control("remove_account", address=person.address)
            for _ in range(6):
                town.start()
                caller = threading.Thread(target=restore_quietly, args=(town.child, made, person.address))
                caller.start()
                time.sleep(chance.uniform(0.0, 0.25))
                town.child.kill()
                caller.join()
            town.start()
            town.child.control("restore_mail", snapshot=str(made), address=person.address)
            again = town.child.control("restore_mail", snapshot=str(made), address=person.address)
            assert again["added"] == 0
            person.validities.clear()
            found = {name: sorted(key for key, _ in box.messages.values()) for name, box in person.read().boxes.items()}
            assert found == {name: sorted(keys) for name, keys in expected.items()}
            assert real(town.child.control("check_store")) == []
        finally:
            town.child.end()


def restore_quietly(child: Child, made: Path, address: str) -> None:
    """It may be cut off."""
    from pillarbox.server.control import ControlError

    try:
        child.control("restore_mail", snapshot=str(made), address=address)
    except (OSError, ControlError, ValueError):
        pass
