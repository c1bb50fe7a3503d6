"""What a search looks at: the mailbox as it is when the search begins, and one message after another."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import IntEnum

from pillarbox.imap.message_set import MessageSet
from pillarbox.imap.view import Selected
from pillarbox.mail.mime import Part, parse_anyway
from pillarbox.mail.search_text import folded
from pillarbox.mail.text import body_texts, header_text
from pillarbox.store.api import MessageRecord

Positions = Sequence[int]
"""Indices into the arrays of a `Scope`, ascending."""


class Cost(IntEnum):
    """What has to be read of a message."""

    VIEW = 0
    RECORD = 1
    HEADER = 2
    OCTETS = 3


class Scope:
    """One search's mailbox. The view may move on while messages are read, so its arrays are kept; `now` in epoch seconds."""

    __slots__ = (
        "everything", "flag_sets", "flags", "internaldates", "modseqs", "now", "numbers", "selected", "sizes", "uids",
    )  # fmt: skip

    def __init__(self, selected: Selected, now: float) -> None:
        view = selected.view
        self.selected = selected
        self.now = now
        self.uids = view.uids
        self.flags = view.flags
        self.modseqs = view.modseqs
        self.sizes = view.sizes
        self.internaldates = view.internaldates
        self.flag_sets = view.flag_table.sets
        self.everything: Positions  # what the session knows and is still there
        self.numbers: Sequence[int]  # sequence numbers by position
        if selected.in_step:
            self.everything = range(selected.count)
            self.numbers = range(1, selected.count + 1)
        else:
            known = selected.messages([range(selected.count)])
            self.everything = [at for _, _, at in known]
            numbers = [0] * len(view.uids)
            for number, _, at in known:
                numbers[at] = number
            self.numbers = numbers

    def within(self, candidates: Positions, messages: MessageSet) -> list[int]:
        """The candidates that a message set means; numbers that do not exist are passed over."""
        selected, numbers = self.selected, self.numbers
        spans = selected.spans_of(selected.saved) if messages.saved else messages.spans(selected.uids, selected.count)
        found: list[int] = []
        for span in spans:
            start = bisect_left(candidates, span.start + 1, key=numbers.__getitem__)
            stop = bisect_left(candidates, span.stop + 1, start, key=numbers.__getitem__)
            found += candidates[start:stop]
        return found


class Candidate:
    """One message that is looked at. `header` and `octets` are there when a key's cost says so. What several keys need is
    worked out once."""

    __slots__ = ("_body", "_header_text", "_more", "_tree", "header", "octets", "record")

    def __init__(self, record: MessageRecord, header: bytes = b"", octets: bytes = b"") -> None:
        self.record = record
        self.header = header
        self.octets = octets
        self._tree: Part | None = None
        self._header_text: str | None = None
        self._body: list[str] = []
        self._more: Iterator[str] | None = None

    @property
    def tree(self) -> Part:
        """The message's parts."""
        if self._tree is None:
            self._tree = parse_anyway(self.octets)
        return self._tree

    @property
    def header_text(self) -> str:
        """The decoded header, folded for comparison."""
        if self._header_text is None:
            self._header_text = folded(header_text(self.octets, 0, self.tree.body))
        return self._header_text

    @property
    def body(self) -> Iterator[str]:
        """The decoded texts of the body, folded for comparison; each is decoded when somebody gets to it."""
        yield from self._body
        if self._more is None:
            self._more = body_texts(self.octets, self.tree)
        for text in self._more:
            self._body.append(folded(text))
            yield self._body[-1]
