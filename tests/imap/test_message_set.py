"""MessageSet: ranges of numbers and UIDs to positions in a session's snapshot."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.imap.message_set import STAR, MessageSet, encode_set

number = st.one_of(st.integers(1, 40), st.just(STAR))


def positions(spans: list[range]) -> list[int]:
    return [position for span in spans for position in span]


@given(st.lists(st.tuples(number, number), min_size=1), st.sets(st.integers(1, 40)), st.data())
def test_uids_mean_what_the_grammar_says(ranges: list[tuple[int, int]], known: set[int], data: st.DataObject) -> None:
    uids = array("I", sorted(known))
    count = data.draw(st.integers(0, len(uids)))
    star = uids[count - 1] if count else 0
    wanted = set()
    for pair in ranges:
        low, high = sorted(star if end == STAR else end for end in pair)
        wanted |= {i for i in range(count) if low <= uids[i] <= high}
    assert positions(MessageSet(tuple(ranges), by_uid=True).spans(uids, count)) == sorted(wanted)


@given(st.lists(st.tuples(number, number), min_size=1), st.integers(0, 40))
def test_sequence_numbers_mean_what_the_grammar_says(ranges: list[tuple[int, int]], count: int) -> None:
    wanted = set()
    for pair in ranges:
        low, high = sorted(count if end == STAR else end for end in pair)
        wanted |= set(range(low - 1, high)) if low else set()
    assert positions(MessageSet(tuple(ranges)).spans(array("I", range(1, count + 1)), count)) == sorted(wanted)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([7], "7"), ([1, 2, 3], "1:3"), ([1, 3, 4, 9], "1,3:4,9"), ([5, 4, 3], "5,4,3"), ([2, 2], "2,2")],
)
def test_encode_set(numbers: list[int], text: str) -> None:
    assert encode_set(numbers) == text
