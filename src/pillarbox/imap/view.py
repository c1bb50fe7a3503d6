"""Selected: what one session knows of its mailbox, and what it is owed (RFC 9051 §5.2, §5.5, §7.5.1).

The snapshot is a reference to the live view's `uids` and a count. As long as no message was expunged since, positions in
the snapshot are positions in the live arrays (`in_step`); afterwards the session keeps the old array until it may be told.

Invariants: sequence number = position in the snapshot + 1. The snapshot without expunged messages is always a beginning of
`view.uids`.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import not_

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.message_set import MessageSet
from pillarbox.store.changes import FlagsChanged, MessagesExpunged
from pillarbox.store.flags import SYSTEM
from pillarbox.store.view import MailboxView, one_pass
from pillarbox.wire.outbox import Outbox

SCATTERED = 100
"""Spans beyond which positions are gone through one by one: slices of few messages each cost more."""

NO_RECENT = 2**32
"""Above every UID: no message is recent."""

Columns = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Sequence numbers, UIDs and indices in the view's arrays of some messages."""

_FLAGS_MODSEQ = "* {0} FETCH (FLAGS ({2}) MODSEQ ({3}))\r\n"


class Selected:
    """A session's view of its selected mailbox. `session`: the id that marks its own changes in the feed."""

    __slots__ = (
        "_expunged_up_to", "_keywords", "_modseq", "_sets", "condstore", "count", "read_only", "recent_from", "recent_used",
        "saved", "session", "uids", "view", "with_recent",
    )  # fmt: skip

    def __init__(self, view: MailboxView, session: str, *, read_only: bool) -> None:
        self.view = view
        self.session = session
        self.read_only = read_only
        self.uids = view.uids
        self.count = len(view.uids)
        self.recent_from = NO_RECENT
        self.recent_used = False  # messages became recent here that the store does not know of yet
        self.saved: Sequence[int] = ()  # UIDs of "$" (RFC 5182), ascending
        self.condstore = False  # untagged FETCH carries MODSEQ
        self.with_recent = True  # RECENT is sent: IMAP4rev1
        self._modseq = view.highestmodseq
        self._expunged_up_to = view.highestmodseq
        self._sets = len(view.flag_table.sets)
        self._keywords = len(view.flag_table.keywords)

    # Which messages a command means.

    @property
    def in_step(self) -> bool:
        """Whether positions in the snapshot are positions in the view's arrays."""
        return self.uids is self.view.uids

    def spans(self, messages: MessageSet) -> list[range]:
        """Positions in the snapshot of what is meant, ascending. Raises BadSyntax for sequence numbers that do not exist."""
        if messages.saved:
            return self.spans_of(self.saved)
        spans = messages.spans(self.uids, self.count)
        if spans and spans[-1].stop > self.count:
            raise BadSyntax("There is no message with that sequence number")
        return spans

    def spans_of(self, uids: Iterable[int]) -> list[range]:
        """Positions of these UIDs (ascending); those that the session does not know are left out."""
        if isinstance(uids, list | array) and one_pass(len(uids), self.count):
            wanted = set(uids)
            return joined([at for at, uid in enumerate(self.uids[: self.count]) if uid in wanted])
        spans: list[range] = []
        start = stop = 0
        for uid in uids:
            at = bisect_left(self.uids, uid, stop, self.count)
            if at == self.count:
                break
            if self.uids[at] != uid:
                continue
            if at != stop:
                if start < stop:
                    spans.append(range(start, stop))
                start = at
            stop = at + 1
        if start < stop:
            spans.append(range(start, stop))
        return spans

    def take(self, spans: list[range]) -> "array[int]":
        """The UIDs at these positions."""
        if len(spans) == 1:
            return self.uids[spans[0].start : spans[0].stop]
        uids = array("I")
        for span in spans:
            uids += self.uids[span.start : span.stop]
        return uids

    def messages(self, spans: list[range]) -> list[tuple[int, int, int]]:
        """(sequence number, UID, index in the view's arrays) of the messages at these positions; expunged ones are left out."""
        uids = self.uids
        if self.in_step:
            return [(position + 1, uids[position], position) for span in spans for position in span]
        index = self.view.index
        return [
            (position + 1, uids[position], at)
            for span in spans
            for position in span
            if (at := index(uids[position])) >= 0
        ]

    def columns(self, spans: list[range]) -> Columns:
        """The messages at these positions, as columns; see `messages`."""
        if self.in_step and len(spans) == 1:
            span = spans[0]
            return range(span.start + 1, span.stop + 1), self.uids[span.start : span.stop], span
        rows = self.messages(spans)
        return [n for n, _, _ in rows], [uid for _, uid, _ in rows], [at for _, _, at in rows]

    def number(self, uid: int) -> int:
        """The sequence number of a UID, 0 when the session does not know it."""
        at = bisect_left(self.uids, uid, 0, self.count)
        return at + 1 if at < self.count and self.uids[at] == uid else 0

    # What the session is owed.

    @property
    def up_to_date(self) -> bool:
        """Whether nothing is owed."""
        view = self.view
        return view.highestmodseq == self._modseq and self.uids is view.uids and self.count == len(view.uids)

    def catch_up(self, out: Outbox, *, expunge: bool) -> None:
        """Write what changed since the last time; EXPUNGE only if the command allows it now."""
        if self.up_to_date:
            return
        view = self.view
        if not self.in_step:
            self._settle(out, expunge=expunge)
        if self.in_step and self.count < len(view.uids):
            self._exists(out, len(view.uids))
        if view.highestmodseq != self._modseq:
            self._flags(out)
            self._modseq = view.highestmodseq

    def _settle(self, out: Outbox, *, expunge: bool) -> None:
        """Messages are gone: tell the session, or keep their places until it may be told."""
        view = self.view
        gone = self._gone()
        if gone and not expunge:
            known = self.uids[self.count - 1]
            start = bisect_left(view.uids, known + 1)
            if start < len(view.uids):
                self.uids = self.uids[: self.count] + view.uids[start:]
                self._exists(out, len(self.uids))
            return
        # From the end, so that no number shifts under the next one.
        if gone:
            numbers = tuple([position + 1 for position in reversed(gone)])
            out.write(("* %d EXPUNGE\r\n" * len(numbers) % numbers).encode())
        self.uids = view.uids
        self.count -= len(gone)
        self._expunged_up_to = view.highestmodseq

    def _gone(self) -> list[int]:
        """Positions of expunged messages, from the journal where it reaches back far enough."""
        view, uids, count = self.view, self.uids, self.count
        if view.journal_start <= self._expunged_up_to:
            expunged: set[int] = set()
            for change in reversed(view.journal):
                if change.modseq <= self._expunged_up_to:
                    break
                if isinstance(change, MessagesExpunged):
                    expunged.update(change.uids)
            if one_pass(len(expunged), count):
                gone = list(compress(range(count), map(expunged.__contains__, uids)))
            else:
                gone = sorted(number - 1 for uid in expunged if (number := self.number(uid)))
            left = count - len(gone)
            if left <= len(view.uids) and (left == 0 or view.uids[left - 1] == self._last_but(gone)):
                return gone
        alive = set(view.uids)
        return list(compress(range(count), map(not_, map(alive.__contains__, uids))))

    def _last_but(self, gone: list[int]) -> int:
        """The UID of the last message that is not gone."""
        last = self.count - 1
        for position in reversed(gone):
            if position != last:
                break
            last -= 1
        return self.uids[last]

    def _exists(self, out: Outbox, count: int) -> None:
        self.count = count
        text = f"* {count} EXISTS\r\n"
        if self.with_recent:
            text += f"* {self.recent} RECENT\r\n"
            self.recent_used = not self.read_only
        out.write(text.encode())

    def _flags(self, out: Outbox) -> None:
        """FETCH FLAGS for what others changed."""
        view = self.view
        uids: set[int] | Sequence[int]
        if view.journal_start <= self._modseq:
            uids = set()
            for change in reversed(view.journal):
                if change.modseq <= self._modseq:
                    break
                if isinstance(change, FlagsChanged) and change.by != self.session:
                    uids.update(change.uids)
        else:
            uids = view.changed_since(self._modseq)
        self.new_keywords(out)
        if uids:
            self.write_flags(out, self.spans_of(sorted(uids)), uid=True, modseq=self.condstore)

    def new_keywords(self, out: Outbox) -> None:
        """Announce keywords that came into use since the mailbox was selected (RFC 9051 §7.3.5)."""
        table = self.view.flag_table
        if len(table.sets) != self._sets:
            self._sets = len(table.sets)
            keywords = table.keywords
            if len(keywords) != self._keywords:
                self._keywords = len(keywords)
                out.write(self.flags_response())

    def flags_response(self) -> bytes:
        """* FLAGS: the flags in use here."""
        return f"* FLAGS ({' '.join((*SYSTEM, *self.view.flag_table.keywords))})\r\n".encode()

    # Flags of messages.

    @property
    def recent(self) -> int:
        """How many messages are recent to this session."""
        return self.count - bisect_left(self.uids, self.recent_from, 0, self.count)

    def flags_texts(self, *, recent: bool = False) -> list[str]:
        """The flags between the parentheses, for each number in the view's flag_table."""
        encoded = self.view.flag_table.encoded
        if not recent:
            return [text.decode() for text in encoded]
        return [f"{text.decode()} \\Recent" if text else "\\Recent" for text in encoded]

    def write_flags(self, out: Outbox, spans: list[range], *, uid: bool, modseq: bool) -> None:
        """FETCH responses with FLAGS, and UID and MODSEQ if wanted, for the messages at these positions."""
        if self.recent_from != NO_RECENT and spans and self.uids[spans[-1].stop - 1] >= self.recent_from:
            border = bisect_left(self.uids, self.recent_from, 0, self.count)
            old = [range(s.start, min(s.stop, border)) for s in spans if s.start < border]
            new = [range(max(s.start, border), s.stop) for s in spans if s.stop > border]
            self._write_flags(out, old, self.flags_texts(), uid=uid, modseq=modseq)
            self._write_flags(out, new, self.flags_texts(recent=True), uid=uid, modseq=modseq)
        else:
            self._write_flags(out, spans, self.flags_texts(), uid=uid, modseq=modseq)

    def write_modseqs(self, out: Outbox, spans: list[range]) -> None:
        """FETCH responses with UID and MODSEQ for the messages at these positions."""
        modseqs = self.view.modseqs
        lines = [f"* {n} FETCH (UID {u} MODSEQ ({modseqs[i]}))\r\n" for n, u, i in self.messages(spans)]
        out.write("".join(lines).encode())

    def _write_flags(self, out: Outbox, spans: list[range], texts: list[str], *, uid: bool, modseq: bool) -> None:
        for numbers, uids, flags, modseqs in self._columns(spans):
            words = map(texts.__getitem__, flags)
            if modseq:
                form = ("* {} FETCH (UID {} FLAGS ({}) MODSEQ ({}))\r\n" if uid else _FLAGS_MODSEQ).format
                lines = list(map(form, numbers, uids, words, modseqs))
            elif uid:
                lines = [f"* {n} FETCH (UID {u} FLAGS ({w}))\r\n" for n, u, w in zip(numbers, uids, words, strict=True)]
            else:
                lines = [f"* {n} FETCH (FLAGS ({w}))\r\n" for n, w in zip(numbers, words, strict=True)]
            out.write("".join(lines).encode())

    def _columns(
        self, spans: list[range]
    ) -> Iterable[tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]]:
        """Sequence numbers, UIDs, flags and modseqs of the messages at these positions, in pieces. Expunged ones are left
        out. Slices of arrays: this is the fast path for whole mailboxes."""
        view = self.view
        if self.in_step and len(spans) <= SCATTERED:
            for span in spans:
                a, b = span.start, span.stop
                yield range(a + 1, b + 1), view.uids[a:b], view.flags[a:b], view.modseqs[a:b]
        elif alive := self.messages(spans):
            indices = [i for _, _, i in alive]
            flags, modseqs = [view.flags[i] for i in indices], [view.modseqs[i] for i in indices]
            yield [n for n, _, _ in alive], [u for _, u, _ in alive], flags, modseqs


def joined(positions: list[int]) -> list[range]:
    """Ascending positions as spans."""
    spans: list[range] = []
    if not positions:
        return spans
    start = stop = positions[0]
    for position in positions:
        if position != stop:
            spans.append(range(start, stop))
            start = position
        stop = position + 1
    spans.append(range(start, stop))
    return spans
