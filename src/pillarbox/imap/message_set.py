"""MessageSet: which messages a command means, by sequence number or UID (sequence-set, RFC 9051 §9; `$`, RFC 5182)."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

STAR = 2**33
"""Stands for "*", the largest number in use; above every number."""


class MessageSet(msgspec.Struct, frozen=True):
    """Ranges (low, high), both included, low <= high except where STAR is meant; `saved` is `$`, the last SEARCH's result."""

    ranges: tuple[tuple[int, int], ...]
    by_uid: bool = False
    saved: bool = False

    @property
    def single(self) -> int:
        """The only number that is meant, or 0."""
        if len(self.ranges) != 1:
            return 0
        low, high = self.ranges[0]
        return low if low == high < STAR else 0

    def spans(self, uids: "array[int]", count: int) -> list[range]:
        """Positions 0..count-1 in `uids` of the messages meant: ascending, not overlapping. Missing UIDs are left out.

        Sequence numbers above `count` come back as positions that do not exist: the caller decides.
        """
        if len(self.ranges) == 1:
            low, high = _ordered(*self.ranges[0], (uids[count - 1] if count else 0) if self.by_uid else count)
            if self.by_uid:
                low, high = bisect_left(uids, low, 0, count) + 1, bisect_right(uids, high, 0, count)
            return [range(low - 1, high)] if 0 < low <= high else []
        if not self.by_uid:
            found = [(low - 1, high) for low, high in self._all_ordered(count) if low > 0]
        else:
            last = uids[count - 1] if count else 0
            found = [
                (bisect_left(uids, low, 0, count), bisect_right(uids, high, 0, count))
                for low, high in self._all_ordered(last)
            ]
        return _merged(found)

    def _all_ordered(self, star: int) -> list[tuple[int, int]]:
        return [_ordered(low, high, star) for low, high in self.ranges]


def _ordered(low: int, high: int, star: int) -> tuple[int, int]:
    """A range with "*" replaced; 5:* where * is 3 means 3:5 (RFC 9051 §9, seq-range)."""
    a = star if low == STAR else low
    b = star if high == STAR else high
    return (a, b) if a <= b else (b, a)


def _merged(found: list[tuple[int, int]]) -> list[range]:
    """Sorted, and what touches or overlaps joined."""
    found.sort()
    spans: list[range] = []
    for start, stop in found:
        if start >= stop:
            continue
        if spans and start <= spans[-1].stop:
            spans[-1] = range(spans[-1].start, max(stop, spans[-1].stop))
        else:
            spans.append(range(start, stop))
    return spans


def encode_set(numbers: Sequence[int]) -> str:
    """Numbers as a sequence-set, runs as ranges; the order is kept (COPYUID needs it), so ascending input is shortest."""
    if not numbers:
        return ""
    ends = [numbers[0]]
    for before, after in pairwise(numbers):
        if after != before + 1:
            ends += (before, after)
    ends.append(numbers[-1])
    return ",".join([f"{a}:{b}" if a != b else str(a) for a, b in zip(ends[::2], ends[1::2], strict=True)])
