"""Columns: one header field of a whole mailbox as one run of octets, so that a substring is looked for in all messages at
once. A column is made by the first search of its field, grows with the mailbox, and lives beside the view, for all sessions.

Security: strangers wrote the fields. What all columns hold together is bounded; the ones that were used longest ago go first.
"""

import weakref
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pillarbox.mail.encoded_word import decode_words
from pillarbox.mail.header import values_of
from pillarbox.mail.search_text import folded
from pillarbox.store.api import MessageRecord
from pillarbox.store.view import MailboxView

MAX_OCTETS = 96 * 1024 * 1024
"""All columns together: some 1.5 million subjects."""

_ENTRY = 8  # octets that one message's uid and start take
_SPARSE = 1024  # dead entries that are not worth tidying up


def field_text(value: bytes) -> str:
    """An unfolded field value as it is searched: decoded, folded, tabs as spaces."""
    return folded(decode_words(value)).replace("\t", " ")


class Column:
    """One field's texts. Each value ends with NUL, so that a needle without one never matches across two. `scanned`: the last
    UID that was looked at; messages without the field have no entry."""

    __slots__ = ("_starts", "_text", "_uids", "name", "scanned")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.scanned = 0
        self._text = bytearray()
        self._uids = array("I")
        self._starts = array("I")

    @property
    def octets(self) -> int:
        """What it takes in memory."""
        return len(self._text) + len(self._uids) * _ENTRY

    def extend(self, uids: Sequence[int], records: Sequence[MessageRecord | None]) -> None:
        """The next messages, ascending; None for those that are gone."""
        for uid, record in zip(uids, records, strict=True):
            values = values_of(record.summary.fields, self.name) if record is not None else ()
            if values:
                self._uids.append(uid)
                self._starts.append(len(self._text))
                for value in values:
                    self._text += _encoded(field_text(value))
                    self._text.append(0)
        self.scanned = uids[-1]

    def holding(self, needle: str) -> Iterator[int]:
        """UIDs whose field holds the needle (folded, without NUL), ascending; all that have the field for an empty one."""
        if not needle:
            yield from self._uids
            return
        text, starts, count = self._text, self._starts, len(self._starts)
        wanted = _encoded(needle)
        at = text.find(wanted)
        entry = 0
        while at >= 0:
            entry = bisect_right(starts, at, entry)
            yield self._uids[entry - 1]
            if entry == count:
                return
            at = text.find(wanted, starts[entry])

    def tidy(self, living: Sequence[int]) -> None:
        """Drop what belongs to expunged messages once that is more than half."""
        if len(self._uids) <= 2 * len(living) + _SPARSE:
            return
        keep = set(living)
        text, uids, starts = bytearray(), array("I"), array("I")
        for uid, (start, stop) in zip(self._uids, pairwise([*self._starts, len(self._text)]), strict=True):
            if uid in keep:
                uids.append(uid)
                starts.append(len(text))
                text += self._text[start:stop]
        self._text, self._uids, self._starts = text, uids, starts


def _encoded(text: str) -> bytes:
    """UTF-8 keeps substrings what they are; half surrogates, which careless senders make, stay apart too."""
    return text.encode("utf-8", "surrogatepass")


class Columns:
    """The columns of all mailboxes that are in memory."""

    def __init__(self, limit: int = MAX_OCTETS) -> None:
        self._limit = limit
        self._columns: OrderedDict[tuple[weakref.ref[MailboxView], bytes], Column] = OrderedDict()

    def of(self, view: MailboxView, name: bytes) -> Column:
        """The column of a field (lower case), empty if there was none."""
        key = (weakref.ref(view), name)
        column = self._columns.get(key)
        if column is None:
            self._drop_dead()
            column = self._columns[key] = Column(name)
        else:
            self._columns.move_to_end(key)
        return column

    def trim(self) -> None:
        """Keep the bound. A column that somebody is using stays whole for that search."""
        total = sum(column.octets for column in self._columns.values())
        while total > self._limit and self._columns:
            _, oldest = self._columns.popitem(last=False)
            total -= oldest.octets

    def _drop_dead(self) -> None:
        for key in [key for key in self._columns if key[0]() is None]:
            del self._columns[key]


COLUMNS = Columns()
"""Shared by all sessions, as views are."""
