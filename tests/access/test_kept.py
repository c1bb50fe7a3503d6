"""Blocks and familiar places outlive a restart; whatever is wrong with the file, the throttle starts empty."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from pillarbox.access import kept
from pillarbox.access.kept import NAME, Kept
from pillarbox.access.policy import Budget, Policy
from pillarbox.access.throttle import Throttle
from pillarbox.store.embedded.backup import _other_files

POLICY = Policy(block=Budget(3, 60), account=Budget(4, 60), familiar=Budget(3, 60), familiar_for=1000, never_refused=())
GUESSER, HOME = "203.0.113.7", "198.51.100.9"


class Life:
    """One life of a server: its own monotonic clock, and the world's."""

    def __init__(self, folder: Path, wall: float, *, clock: float = 5.0, policy: Policy = POLICY) -> None:
        self.wall, self.clock = wall, clock
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.throttle = Throttle(policy)
        tell = lambda event, **facts: self.told.append((event, facts))  # noqa: E731
        self.kept = Kept(self.throttle, folder, tell, clock=lambda: self.clock, wall=lambda: self.wall)
        self.kept.load()

    def wait(self, peer: str, name: str) -> float:
        return self.throttle.wait(peer, name, self.clock)


def first_life(folder: Path) -> Life:
    """Somebody guessed, somebody logged in well."""
    life = Life(folder, 1_000_000.0, clock=70_000.0)
    life.throttle.succeeded(HOME, "alice@example.test", life.clock)
    for name in ("hunter2", "alice@example.test", "bob@example.test"):
        life.throttle.failed(GUESSER, name, life.clock)
    assert life.wait(GUESSER, "anybody") == 60
    life.kept.save()
    return life


def test_it_survives(tmp_path: Path) -> None:
    first_life(tmp_path)
    later = Life(tmp_path, 1_000_030.0)
    assert later.told == []
    assert later.wait(GUESSER, "anybody") == pytest.approx(30)
    assert later.throttle.is_familiar(HOME, "alice@example.test", later.clock)
    assert later.wait(HOME, "alice@example.test") == 0


def test_it_is_forgiven_meanwhile(tmp_path: Path) -> None:
    first_life(tmp_path)
    later = Life(tmp_path, 1_000_200.0)
    assert later.wait(GUESSER, "anybody") == 0
    assert later.throttle.sizes()["blocks"] == 0
    assert Life(tmp_path, 1_000_990.0).throttle.sizes()["familiar"] == 1
    assert Life(tmp_path, 1_001_010.0).throttle.sizes()["familiar"] == 0


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    first_life(tmp_path)
    later = Life(tmp_path, 10.0)
    assert later.wait(GUESSER, "anybody") == 60
    assert later.throttle.is_familiar(HOME, "alice@example.test", later.clock)


def test_names_that_are_no_account_are_not_in_it(tmp_path: Path) -> None:
    first_life(tmp_path)
    text = (tmp_path / NAME).read_text()
    assert "hunter2" not in text
    assert "bob" not in text
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"version":1}',
        b'{"version":2,"saved":1.0,"memory":{"blocks":[],"familiar":[]}}',
        b'{"version":1,"saved":1.0,"memory":{"blocks":[["a","b"]],"familiar":[]}}',
        b'{"version":1,"saved":1.0,"memory":{"blocks":[],"familiar":[]},"more":1}',
        b" " * (kept.MAX_SIZE + 1),
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_empty_start_and_a_line(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / NAME).write_bytes(octets)
    life = Life(tmp_path, 0.0)
    assert [event for event, _ in life.told] == ["throttle_forgotten"]
    assert set(life.throttle.sizes().values()) == {0}
    life.kept.save()  # and the next one is whole
    assert Life(tmp_path, 0.0).told == []


def test_cut_off_anywhere(tmp_path: Path) -> None:
    first_life(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    for end in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:end])
        assert [event for event, _ in Life(tmp_path, 0.0).told] == ["throttle_forgotten"]


def test_a_missing_file_is_no_news(tmp_path: Path) -> None:
    assert Life(tmp_path, 0.0).told == []


def test_it_is_bounded(tmp_path: Path) -> None:
    policy = Policy(remembered=50, never_refused=())
    life = Life(tmp_path, 0.0, policy=policy)
    for number in range(500):
        life.throttle.failed(f"203.0.{number % 250}.1", f"name{number}", life.clock)
        life.throttle.succeeded(f"203.0.{number % 250}.1", f"name{number}", life.clock)
    life.kept.save()
    assert (tmp_path / NAME).stat().st_size < 100 * 60
    assert set(Life(tmp_path, 0.0, policy=policy).throttle.sizes().values()) == {50, 0}


def test_it_is_written_when_something_has_changed(tmp_path: Path) -> None:
    life = first_life(tmp_path)
    before = (tmp_path / NAME).stat().st_ino
    life.kept.save()
    assert (tmp_path / NAME).stat().st_ino == before
    life.throttle.forgive()
    life.kept.save()
    assert Life(tmp_path, 1_000_000.0).wait(GUESSER, "anybody") == 0


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    life = first_life(tmp_path)
    (tmp_path / f"{NAME}.new").mkdir()
    life.throttle.forgive()
    life.kept.save()
    assert [event for event, _ in life.told] == ["throttle_not_kept"]
    (tmp_path / f"{NAME}.new").rmdir()
    life.kept.save()
    assert Life(tmp_path, 1_000_000.0).wait(GUESSER, "anybody") == 0


async def test_it_is_written_at_the_end(tmp_path: Path) -> None:
    life = Life(tmp_path, 1_000_000.0)
    task = asyncio.create_task(life.kept.run())
    await asyncio.sleep(0)
    life.throttle.succeeded(HOME, "alice@example.test", life.clock)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert Life(tmp_path, 1_000_000.0).throttle.sizes()["familiar"] == 1


def test_backups_leave_it_out(tmp_path: Path) -> None:
    first_life(tmp_path)
    (tmp_path / f"{NAME}.new").write_bytes(b"")
    (tmp_path / "access.key").write_bytes(b"k")
    assert [path.name for path in _other_files(tmp_path)] == ["access.key"]
