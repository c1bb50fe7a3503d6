"""Durations fall into the class whose upper end they do not exceed."""

from pillarbox.store.durations import BOUNDS, Durations


def test_classes() -> None:
    durations = Durations((1.0, 2.0))
    for seconds in (0.0, 1.0, 1.5, 2.0, 2.5, 100.0):
        durations.note(seconds)
    assert durations.counts == [2, 2, 2]
    assert durations.count == 6
    assert durations.total == 107.0
    assert list(BOUNDS) == sorted(set(BOUNDS))
