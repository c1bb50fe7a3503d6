"""The FETCH responses of one command: batches of messages, one coarse call to the store for each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pillarbox.imap.fetch.item import Batch, Message, Need, Value
from pillarbox.imap.fetch.large import LargeMessage
from pillarbox.imap.fetch.metadata import FLAGS, MODSEQ, UID
from pillarbox.imap.fetch.plan import Plan, head_of
from pillarbox.imap.session import Session
from pillarbox.imap.view import SCATTERED, Columns
from pillarbox.store.api import MessageRecord, StoreMode, StoreUnavailable
from pillarbox.store.flags import SEEN
from pillarbox.wire.outbox import Outbox

T = TypeVar("T")

BATCH = 256
"""Messages that are read with one call: few enough that others get their turn in between."""

FEW = 32
"""Messages of one command up to which it is done in one go."""

BATCH_FLAGS = 10_000
"""The same where nothing is read."""

BATCH_OCTETS = 1024 * 1024
"""Octets of messages in one batch."""

LARGE = 64 * 1024
"""A message above this size goes out as the store's own chunk, not copied into a response."""

Records = dict[int, MessageRecord | None] | None
"""By UID; None when no item needs them."""

Contents = tuple[Sequence[int], Sequence[bytes | None]] | None
"""UIDs, and the octets of each message."""


class Answer:
    """What one FETCH command asks for, and how many messages were answered."""

    __slots__ = ("answered", "long", "out", "plan", "selected", "session", "with_flags")

    def __init__(self, session: Session, plan: Plan, out: Outbox) -> None:
        self.session = session
        self.selected = session.mailbox
        self.out = out
        self.plan = plan
        self.with_flags: frozenset[int] = frozenset()  # UIDs whose flags are told although nobody asked
        self.answered = 0
        self.long = False  # others get their turn in between

    async def send(self, spans: list[range]) -> None:
        """Answer for the messages at these positions; those that are gone are left out. Raises Refused, Disconnect."""
        if len(spans) > SCATTERED:
            await self.out.give_way()  # finding so many took its time
        if self.plan.only_flags:
            await self._send_flags(spans)
            return
        self.long = sum(map(len, spans)) > FEW
        marks_seen = self.plan.marks_seen and not self.selected.read_only
        for batch in _cut(spans, BATCH) if self.long else [spans]:
            if marks_seen:
                await self._mark_seen(batch)
            if self.plan.needs == Need.LISTED:
                await self._send_listed(batch)
                continue
            records = await self._records(batch)
            if self.plan.needs & (Need.HEADER | Need.OCTETS):
                await self._send_octets(batch, records)
            else:
                if self.long:
                    await self.out.give_way()
                self.write(batch, records, None)
            await self.out.drain()

    async def _send_listed(self, batch: list[range]) -> None:
        """Responses for which what listings show is enough."""
        uids = self.selected.take(batch)
        found = await self.session.mail.listed(self.session.account, self.selected.view.mailbox, uids)
        if self.long:
            await self.out.give_way()
        columns, listed = _there(self.selected.columns(batch), uids, found)
        if listed:
            self.answered += len(listed)
            heads = self._heads(Batch(self.selected, columns, listed=listed))
            self.out.write(b")\r\n".join([*heads, b""]))
        await self.out.drain()

    async def _send_flags(self, spans: list[range]) -> None:
        items = self.plan.items
        for batch in _cut(spans, BATCH_FLAGS):
            self.selected.write_flags(self.out, batch, uid=UID in items, modseq=MODSEQ in items)
            self.answered += sum(map(len, batch)) if self.selected.in_step else len(self.selected.messages(batch))
            await self.out.drain()

    async def _mark_seen(self, batch: list[range]) -> None:
        """Set \\Seen where it is missing. A full disk does not keep anyone from reading."""
        view = self.selected.view
        sets = view.flag_table.sets
        unseen = [uid for _, uid, at in self.selected.messages(batch) if SEEN not in sets[view.flags[at]]]
        self.with_flags = frozenset()
        if not unseen:
            return
        try:
            stored = await self.session.mail.store_flags(
                self.session.account, view.mailbox, unseen, StoreMode.ADD, frozenset((SEEN,)), by=self.session.link.id
            )
        except StoreUnavailable:
            return
        if FLAGS not in self.plan.items:
            self.with_flags = frozenset(stored.changed)

    async def _records(self, batch: list[range]) -> Records:
        if not self.plan.needs & Need.RECORD:
            return None
        uids = self.selected.take(batch)
        found = await self.session.mail.records(self.session.account, self.selected.view.mailbox, uids)
        return dict(zip(uids, found, strict=True))

    async def _send_octets(self, batch: list[range], records: Records) -> None:
        """Responses for which messages are read. Others get their turn once everything was read: what the store gave to many
        sessions of an account at the same moment is not worked on at the same moment."""
        for lighter, is_large in self._by_weight(batch, records):
            if is_large:
                await self._send_large(lighter, records)
            else:
                contents = await self._contents(lighter, records)
                if self.long:
                    await self.out.give_way()
                self.write(lighter, records, contents)
            await self.out.drain()

    async def _contents(self, batch: list[range], records: Records) -> Contents:
        """The octets that are needed of these messages."""
        uids: Sequence[int] = self.selected.take(batch)
        sizes: Sequence[int] | None = None
        if not self.plan.needs & Need.OCTETS:
            assert records is not None
            headers = [(uid, record.summary.header_size) for uid in uids if (record := records[uid]) is not None]
            uids, sizes = [uid for uid, _ in headers], [size for _, size in headers]
        found = await self.session.mail.contents(self.session.account, self.selected.view.mailbox, uids, sizes)
        return uids, found

    def write(
        self, batch: list[range], records: Records, contents: Contents, ends: Sequence[bytes] | None = None
    ) -> None:
        """The responses of a batch, all at once: nothing waits here, so that the view stays as it is. `ends` stand in place of
        their last line ends, if there are literals and each message is still there."""
        columns = self.selected.columns(batch)
        known: list[MessageRecord] = []
        octets: list[bytes] = []
        if records is not None:
            columns, known = _there(columns, list(records), list(records.values()))
        if contents is not None:
            columns, octets = _there(columns, *contents)
            if records is not None and len(known) > len(octets):
                known = [record for uid in columns[1] if (record := records[uid]) is not None]
        if not columns[1]:
            return
        messages = Batch(self.selected, columns, known, octets)
        self.answered += len(columns[1])
        if not self.plan.literals:
            self.out.write(b")\r\n".join([*self._heads(messages), b""]))
            return
        first, *others = self.plan.literals
        pieces: list[bytes] = []
        ends = ends or [b")\r\n"] * len(columns[1])
        for head, message, end in zip(self._heads(messages), messages.messages, ends, strict=True):
            # Literals come last: their octets are pieces of their own, joined once with everything else.
            pieces.append(head)
            first.write(message, pieces)
            for literal in others:
                pieces.append(b" ")
                literal.write(message, pieces)
            pieces.append(end)
        self.out.write(b"".join(pieces))

    def _heads(self, batch: Batch) -> list[bytes]:
        """The responses up to their literals, if any, and the last parenthesis. Flags are told of messages that became
        seen by this command (RFC 9051 §6.4.5)."""
        values = self.plan.values
        heads = _render(batch, values, self.plan.head)
        if self.with_flags.isdisjoint(batch.uids):
            return heads
        with_modseq = self.selected.condstore and MODSEQ not in values
        values = (*values, FLAGS, MODSEQ) if with_modseq else (*values, FLAGS)
        flagged = _render(batch, values, head_of(values, literals=bool(self.plan.literals)))
        return [
            also if uid in self.with_flags else head for uid, head, also in zip(batch.uids, heads, flagged, strict=True)
        ]

    async def _send_large(self, batch: list[range], records: Records) -> None:
        """Send a large message by itself."""
        found = next(iter(self.selected.messages(batch)), None)
        if found is None:
            return
        _, uid, at = found
        record = records[uid] if records is not None else None
        if record is None and (records is not None or self.plan.looks_inside):
            [record] = await self.session.mail.records(self.session.account, self.selected.view.mailbox, [uid])
            if record is None:
                return
        message = Message(self.selected.view.sizes[at])
        if record is not None:
            message.record = record
        large = LargeMessage(self.session, self.plan, message, uid, self.out)
        if not await large.prepare():
            return
        columns = self.selected.columns(batch)  # while it was read, the view may have moved on
        if not columns[1]:
            return
        alone = Batch(self.selected, columns, [record] if record is not None else [])
        alone.messages = [message]
        [head] = self._heads(alone)
        self.answered += 1
        await large.send(head)

    def _weight(self, at: int, record: MessageRecord | None) -> int:
        """Octets that are read of a message."""
        if self.plan.needs & Need.OCTETS:
            return self.selected.view.sizes[at]
        return 0 if record is None else record.summary.header_size

    def _by_weight(self, batch: list[range], records: Records) -> Iterable[tuple[list[range], bool]]:
        """A batch in smaller ones, so that what is read and what is sent stays bounded; a large message is alone, and
        marked as such."""
        limit = BATCH_OCTETS // max(1, len(self.plan.literals))
        if self.plan.needs & Need.OCTETS and self.selected.in_step and len(batch) == 1:
            sizes = self.selected.view.sizes[batch[0].start : batch[0].stop]
            if max(sizes) < LARGE and sum(sizes) <= limit:
                return ((batch, False),)
        return self._split(batch, records, limit)

    def _split(self, batch: list[range], records: Records, limit: int) -> Iterator[tuple[list[range], bool]]:
        """The same, message by message."""
        weights = [
            (number, self._weight(at, records.get(uid) if records else None))
            for number, uid, at in self.selected.messages(batch)
        ]
        positions: list[range] = []
        total = 0
        for number, weight in weights:
            if positions and (weight >= LARGE or total + weight > limit):
                yield positions, False
                positions, total = [], 0
            if weight >= LARGE:
                yield [range(number - 1, number)], True
                continue
            if positions and positions[-1].stop == number - 1:
                positions[-1] = range(positions[-1].start, number)
            else:
                positions.append(range(number - 1, number))
            total += weight
        if positions:
            yield positions, False


def _render(batch: Batch, values: Sequence[Value], head: bytes) -> list[bytes]:
    """One response for each message: its number and the short values."""
    columns = [column for value in values for column in value.columns(batch)]
    return [head % row for row in zip(batch.numbers, *columns, strict=True)]


def _there(columns: Columns, uids: Sequence[int], found: Sequence[T | None]) -> tuple[Columns, list[T]]:
    """The messages that the view still has and of which something was found, and what it is."""
    there = [each for each in found if each is not None]
    if len(there) == len(uids) == len(columns[1]):
        return columns, there
    by_uid = dict(zip(uids, found, strict=True))
    rows = [(*row, each) for row in zip(*columns, strict=True) if (each := by_uid.get(row[1])) is not None]
    return ([n for n, *_ in rows], [uid for _, uid, *_ in rows], [at for *_, at, _ in rows]), [
        each for *_, each in rows
    ]


def _cut(spans: list[range], count: int) -> Iterator[list[range]]:
    """The positions in batches of at most `count`."""
    batch: list[range] = []
    room = count
    for span in spans:
        start = span.start
        while span.stop - start >= room:
            batch.append(range(start, start + room))
            yield batch
            start += room
            batch, room = [], count
        if start < span.stop:
            batch.append(range(start, span.stop))
            room -= span.stop - start
    if batch:
        yield batch
