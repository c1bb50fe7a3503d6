"""MailboxView: the latest committed state of one mailbox, in compact arrays, shared by all who have it open.

Invariants:
- Only the store changes a view, after the commit, on the event loop; everyone else reads.
- `uids` ascends. It only grows at its end; an expunge replaces it by a new one. So a session may keep a reference to `uids`
  together with a count, as its snapshot, for nothing. So may a search, for its time, to the other arrays: an expunge
  replaces those to which somebody else has a reference.
- The arrays always have the same length; index i of each is the same message.
- How many messages have which set of flags, and how many octets there are, is counted when it is first asked for, and kept
  right from then on: STATUS costs the same for any mailbox.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import compress
from sys import getrefcount

from pillarbox.store.changes import FlagsChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.flags import DELETED, SEEN, Flags, FlagTable

JOURNAL_LENGTH = 128
"""Changes remembered for sessions that catch up; older ones are found by scanning `modseqs`. Each takes some 200 octets, and
thousands of views are kept."""

_MANY_FLAGS = 1000
_MANY_RUNS = 64  # beyond it, one pass over all messages is cheaper than moving the rest for each run
_INVERTED = bytes([1]) + bytes(255)


def one_pass(wanted: int, among: int) -> bool:
    """Whether one pass through a mailbox finds so many of its messages faster than looking for each. A few never take a
    pass: what they cost must not grow with the mailbox."""
    return wanted > max(100, among // 10)


class MailboxView:
    """One mailbox of one account. All attributes are for reading."""

    __slots__ = (
        "__weakref__", "_counts", "_octets", "account", "flag_table", "flags", "highestmodseq", "internaldates", "journal",
        "journal_start", "mailbox", "modseqs", "name", "object_id", "sizes", "special_use", "uidnext", "uids", "uidvalidity",
    )  # fmt: skip

    def __init__(
        self, account: int, mailbox: int, name: str, uidvalidity: int, object_id: str, special_use: str = ""
    ) -> None:
        self.account = account
        self.mailbox = mailbox
        self.name = name
        self.uidvalidity = uidvalidity
        self.object_id = object_id
        self.special_use = special_use
        self.uidnext = 1
        self.highestmodseq = 1
        self.uids = array("I")
        self.flags = array("I")  # numbers in flag_table
        self.modseqs = array("Q")
        self.sizes = array("I")  # RFC822.SIZE, octets
        self.internaldates = array("q")  # seconds since the epoch, UTC
        self.flag_table = FlagTable()
        self.journal: deque[FlagsChanged | MessagesAdded | MessagesExpunged] = deque(maxlen=JOURNAL_LENGTH)
        self.journal_start = 1  # every change with a greater modseq is in the journal
        self._counts: Counter[int] | None = None  # messages by number in flag_table; None: not counted
        self._octets: int | None = None  # of all messages; None: not counted

    def index(self, uid: int) -> int:
        """The position of a UID in the arrays, or -1."""
        i = bisect_left(self.uids, uid)
        return i if i < len(self.uids) and self.uids[i] == uid else -1

    def flags_of(self, uid: int) -> Flags | None:
        """The flags of a message, or None when it is gone."""
        i = self.index(uid)
        return None if i < 0 else self.flag_table.sets[self.flags[i]]

    def count(self, flag: str) -> int:
        """How many messages have the flag."""
        if self._counts is None:
            self._counts = Counter(self.flags)
        sets = self.flag_table.sets
        return sum(count for number, count in self._counts.items() if flag in sets[number])

    @property
    def unseen(self) -> int:
        """How many messages lack \\Seen."""
        return len(self.uids) - self.count(SEEN)

    @property
    def deleted(self) -> int:
        """How many messages have \\Deleted."""
        return self.count(DELETED)

    @property
    def octets(self) -> int:
        """How many octets all messages have."""
        if self._octets is None:
            self._octets = sum(self.sizes)
        return self._octets

    def count_everything(self, at_once: int) -> None:
        """Count it now, so many messages at once: other threads have their turn in between."""
        counts: Counter[int] = Counter()
        octets = 0
        for i in range(0, len(self.uids), at_once):
            counts.update(self.flags[i : i + at_once])
            octets += sum(self.sizes[i : i + at_once])
        self._counts, self._octets = counts, octets

    def changed_since(self, modseq: int) -> "array[int]":
        """UIDs of the messages whose modseq is greater (RFC 7162 CHANGEDSINCE)."""
        return array("I", [u for u, m in zip(self.uids, self.modseqs, strict=True) if m > modseq])

    # For the store only, in the order of commits.

    def add(self, uid: int, flags: Flags, modseq: int, size: int, internaldate: int) -> None:
        """One message more; its uid is above all others."""
        number = self.flag_table.number(flags)
        if self._counts is not None:
            self._counts[number] += 1
        if self._octets is not None:
            self._octets += size
        self.uids.append(uid)
        self.flags.append(number)
        self.modseqs.append(modseq)
        self.sizes.append(size)
        self.internaldates.append(internaldate)
        self.uidnext = max(self.uidnext, uid + 1)
        self.highestmodseq = max(self.highestmodseq, modseq)

    def add_all(self, messages: Sequence[tuple[int, Flags, int, int]], modseq: int) -> None:
        """Messages more, ascending: (uid, flags, size, internaldate) of each."""
        if len(messages) == 1:
            uid, flags, size, internaldate = messages[0]
            self.add(uid, flags, modseq, size, internaldate)
            return
        uids, sets, sizes, internaldates = zip(*messages, strict=True)
        known = {flags: self.flag_table.number(flags) for flags in dict.fromkeys(sets)}
        numbers = array("I", map(known.__getitem__, sets))
        if self._counts is not None:
            self._counts.update(numbers)
        if self._octets is not None:
            self._octets += sum(sizes)
        self.uids.extend(uids)
        self.flags.extend(numbers)
        self.modseqs.extend(array("Q", [modseq]) * len(uids))
        self.sizes.extend(sizes)
        self.internaldates.extend(internaldates)
        self.uidnext = max(self.uidnext, uids[-1] + 1)
        self.highestmodseq = max(self.highestmodseq, modseq)

    def set_flags(self, changes: Iterable[tuple[int, int]], modseq: int) -> None:
        """New flags of messages: (index, number in flag_table)."""
        for i, number in changes:
            if self._counts is not None:
                self._counts[self.flags[i]] -= 1
                self._counts[number] += 1
            self.flags[i] = number
            self.modseqs[i] = modseq
        self.highestmodseq = max(self.highestmodseq, modseq)

    def set_runs(self, runs: Sequence[tuple[int, int, int]], modseq: int) -> None:
        """New flags of every message whose UID is in one of these ranges: (first, last, number in flag_table)."""
        if len(runs) > _MANY_RUNS:
            self._counts = None  # counting again is cheaper
        uids, flags, modseqs, counts = self.uids, self.flags, self.modseqs, self._counts
        for first, last, number in runs:
            start = bisect_left(uids, first)
            stop = bisect_right(uids, last, start) if first != last else start + (first in uids[start : start + 1])
            if stop == start + 1:
                if counts is not None:
                    counts[flags[start]] -= 1
                    counts[number] += 1
                flags[start], modseqs[start] = number, modseq
            elif stop > start:
                self._uncount(flags[start:stop])
                if self._counts is not None:
                    self._counts[number] += stop - start
                flags[start:stop] = array("I", [number]) * (stop - start)
                modseqs[start:stop] = array("Q", [modseq]) * (stop - start)
        self.highestmodseq = max(self.highestmodseq, modseq)

    def remove(self, uids: Sequence[int], modseq: int) -> None:
        """These messages are gone. Arrays that others hold stay as they were; the rest is moved in place, as copying all of a
        million messages takes ten times as long."""
        runs = self._runs_of(uids)
        staying = None
        if len(runs) > _MANY_RUNS:
            going = bytearray(len(self.uids))
            for start, stop in runs:
                going[start:stop] = b"\1" * (stop - start)
            staying = going.translate(_INVERTED)
            self._uncount(array("I", compress(self.flags, going)))
            if self._octets is not None:
                self._octets -= sum(compress(self.sizes, going))
        else:
            for start, stop in runs:
                self._uncount(self.flags[start:stop])
                if self._octets is not None:
                    self._octets -= sum(self.sizes[start:stop])
        for name in ("uids", "flags", "modseqs", "sizes", "internaldates"):
            # Asked before `old` is one more who holds it.
            held = name == "uids" or getrefcount(getattr(self, name)) != _OWN
            old = getattr(self, name)
            if staying is not None:
                new = array(old.typecode, compress(old, staying))
            else:
                new = old[:] if held else old
                for start, stop in reversed(runs):
                    del new[start:stop]
            setattr(self, name, new)
        self.highestmodseq = max(self.highestmodseq, modseq)

    def _uncount(self, flags: "array[int]") -> None:
        """These are no messages' flags any more. So many that counting them takes long are counted when it is asked for."""
        if self._counts is None:
            return
        if len(flags) > _MANY_FLAGS:
            self._counts = None
        else:
            self._counts.subtract(flags)

    def _runs_of(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """Where these UIDs are, as ranges of neighbouring positions."""
        if one_pass(len(uids), len(self.uids)):
            positions = list(compress(range(len(self.uids)), map(set(uids).__contains__, self.uids)))
        else:
            positions = sorted({i for uid in uids if (i := self.index(uid)) >= 0})
        if positions and positions[-1] - positions[0] == len(positions) - 1:
            return [(positions[0], positions[-1] + 1)]
        runs: list[tuple[int, int]] = []
        for i in positions:
            if runs and runs[-1][1] == i:
                runs[-1] = (runs[-1][0], i + 1)
            else:
                runs.append((i, i + 1))
        return runs

    def record(self, change: FlagsChanged | MessagesAdded | MessagesExpunged) -> None:
        """Remember a change for sessions that catch up."""
        if len(self.journal) == JOURNAL_LENGTH:
            self.journal_start = self.journal[0].modseq
        self.journal.append(change)


_ALONE = MailboxView(0, 0, "", 0, "")
_OWN = getrefcount(_ALONE.sizes)
"""References to an array that only its view holds, as this interpreter counts them."""
