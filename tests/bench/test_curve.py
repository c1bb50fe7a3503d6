"""Slopes, and what is said of them."""

import pytest
from bench.growth.curve import Curve, Promise, Table
from bench.growth.report import markdown, restore


def curve(promise: Promise, *values: float, floor: float = 0.0) -> Curve:
    return Curve("it", "µs", promise, floor, {10 ** (n + 1): value for n, value in enumerate(values)})


@pytest.mark.parametrize(
    ("values", "slope", "words"),
    [
        ((5, 5, 5), 0, "does not grow"),
        ((5, 50, 500), 1, "grows linearly"),
        ((5, 500, 50_000), 2, "grows faster than linearly"),
        ((1, 10**0.5, 10), 0.5, "grows, slower than linearly"),
        ((500, 50, 5), -1, "falls"),
    ],
)
def test_slopes_in_words(values: tuple[float, ...], slope: float, words: str) -> None:
    found = curve(Promise.LINEAR, *values)
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.words == words


def test_a_fixed_part_does_not_hide_growth() -> None:
    assert not curve(Promise.FLAT, 100, 101, 110, 1000).kept
    assert not curve(Promise.LINEAR, 100, 100, 100, 10_000).kept


def test_what_nobody_notices_passes() -> None:
    assert not curve(Promise.FLAT, 1, 10).kept
    assert curve(Promise.FLAT, 1, 10, floor=10).kept


def test_the_table_says_what_is_not_kept_and_comes_back_from_json() -> None:
    table = Table("mailbox", "Messages in a mailbox", "messages")
    for x in (10, 100):
        table.put(x, "open", float(x), "ms", Promise.FLAT)
        table.put(x, "all flags", float(x), "ms", Promise.LINEAR)
    text = markdown([table])
    assert "| open | 10.0 | 100 | ms | 1.00 (1.00) | grows linearly | must not grow: **not kept** |" in text
    assert "| all flags | 10.0 | 100 | ms | 1.00 (1.00) | grows linearly | at most linear: kept |" in text
    again = Table("mailbox", "Messages in a mailbox", "messages")
    curves: list[dict[str, object]] = [
        {"name": c.name, "unit": c.unit, "promise": c.promise.value, "floor": c.floor, "points": c.points}
        for c in table.curves.values()
    ]
    restore(again, {"curves": curves})
    assert markdown([again]) == text
