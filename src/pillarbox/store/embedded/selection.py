"""Selection: messages of a view that an operation is about, with their flags as of the last commit plus this batch."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress

from pillarbox.store.embedded.batch import MailboxDraft
from pillarbox.store.embedded.changelog import Run
from pillarbox.store.view import MailboxView, one_pass


class Selection:
    """`uids` in the order they were given, `positions` of each in the view; `whole`: they are neighbours, ascending."""

    def __init__(self, view: MailboxView, draft: MailboxDraft, uids: Sequence[int] | None) -> None:
        """The messages of these UIDs (None: all) that exist, each once."""
        self._view = view
        self._draft = draft
        self.uids, self.positions = _find(view, draft.removed, uids)
        self.whole = isinstance(self.positions, range)

    def flags(self) -> "array[int]":
        """The number of each one's set of flags."""
        changed = [(first, last, self._view.flag_table.number(flags)) for (first, last, flags), _ in self._draft.runs]
        return self._values(self._view.flags, changed)

    def modseqs(self) -> "array[int]":
        """The modseq of each."""
        changed = [(first, last, modseq) for (first, last, _), modseq in self._draft.runs]
        return self._values(self._view.modseqs, changed)

    def sizes(self) -> "array[int]":
        """The size of each."""
        return self._values(self._view.sizes, ())

    def internaldates(self) -> "array[int]":
        """The internaldate of each."""
        return self._values(self._view.internaldates, ())

    def _values(self, committed: "array[int]", changed: Iterable[tuple[int, int, int]]) -> "array[int]":
        positions = self.positions
        if not positions:
            return array(committed.typecode)
        low, high = (positions[0], positions[-1] + 1) if self.whole else (min(positions), max(positions) + 1)
        values = committed[low:high]
        for first, last, value in changed:
            start = bisect_left(self._view.uids, first, low, high) - low
            length = bisect_right(self._view.uids, last, low, high) - low - start
            if length == 1:
                values[start] = value
            else:
                values[start : start + length] = array(committed.typecode, [value]) * length
        if self.whole:
            return values
        return array(committed.typecode, [values[i - low] for i in positions])


def runs(view: MailboxView, positions: Sequence[int], numbers: Sequence[int]) -> list[Run]:
    """These messages, with a set of flags each, as few runs: neighbours with the same flags are one."""
    if not positions:
        return []
    sets, uids = view.flag_table.sets, view.uids
    if isinstance(positions, range) and len(set(numbers)) == 1:
        return [(uids[positions[0]], uids[positions[-1]], sets[numbers[0]])]
    found: list[Run] = []
    pairs = sorted(zip(positions, numbers, strict=True))
    first, number = pairs[0]
    last = first
    for position, other in pairs[1:]:
        if position != last + 1 or other != number:
            found.append((uids[first], uids[last], sets[number]))
            first, number = position, other
        last = position
    found.append((uids[first], uids[last], sets[number]))
    return found


def _find(view: MailboxView, removed: set[int], uids: Sequence[int] | None) -> tuple[Sequence[int], Sequence[int]]:
    all_uids = view.uids
    if uids is None and not removed:
        return all_uids[:], range(len(all_uids))
    if uids is None:
        uids = all_uids
    if len(uids) > 1 and not removed:
        start = bisect_left(all_uids, uids[0])
        stop = start + len(uids)
        if stop <= len(all_uids) and all_uids[stop - 1] == uids[-1]:
            neighbours = all_uids[start:stop]
            if neighbours == uids or neighbours.tolist() == list(uids):
                return neighbours, range(start, stop)
    if one_pass(len(uids), len(all_uids)) and list(uids) == sorted(uids):
        wanted = set(uids) - removed
        chosen = bytes(map(wanted.__contains__, all_uids))
        return list(compress(all_uids, chosen)), list(compress(range(len(all_uids)), chosen))
    present = [(uid, i) for uid in dict.fromkeys(uids) if uid not in removed and (i := view.index(uid)) >= 0]
    return [uid for uid, _ in present], [i for _, i in present]
