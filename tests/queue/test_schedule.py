"""When to try again."""

import pytest

from pillarbox.queue.policy import DAY, HOUR, MINUTE, Schedule
from pillarbox.queue.schedule import next_attempt, warning_due

S = Schedule()


@pytest.mark.parametrize(
    ("attempts", "waited", "chance", "expected"),
    [
        (1, 0, 0.5, 5 * MINUTE),
        (2, 5 * MINUTE, 0.5, 10 * MINUTE),
        (3, 15 * MINUTE, 0.5, 20 * MINUTE),
        (1, 0, 0.0, 4.5 * MINUTE),
        (1, 0, 1.0, 5.5 * MINUTE),
        (9, DAY, 0.5, 4 * HOUR),
        (10_000, DAY, 0.5, 4 * HOUR),
        (40, 5 * DAY - HOUR, 0.5, HOUR),  # the last try is at the very end
    ],
)
def test_waits(attempts: int, waited: float, chance: float, expected: float) -> None:
    now = 1000.0 + waited
    found = next_attempt(S, attempts, 1000.0, now, chance)
    assert found is not None
    assert found - now == pytest.approx(expected)


def test_giving_up() -> None:
    assert next_attempt(S, 3, 1000.0, 1000.0 + 5 * DAY, 0.5) is None


def test_a_whole_life_is_finite() -> None:
    now, tries = 0.0, 1
    while (again := next_attempt(S, tries, 0.0, now, 0.0)) is not None:
        assert again > now
        now, tries = again, tries + 1
    assert 25 < tries < 60
    assert now == 5 * DAY


def test_warning() -> None:
    assert not warning_due(S, 0.0, 4 * HOUR - 1)
    assert warning_due(S, 0.0, 4 * HOUR)
