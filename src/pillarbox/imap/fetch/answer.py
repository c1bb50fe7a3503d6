"""The FETCH responses of one command: batches of messages, one coarse call to the store for each."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_

from pillarbox.imap.fetch.item import Item, Literal, Message, Need
from pillarbox.imap.fetch.large import LargeMessage
from pillarbox.imap.fetch.metadata import FLAGS, MODSEQ, UID
from pillarbox.imap.session import Session
from pillarbox.store.api import MessageRecord, StoreMode, StoreUnavailable
from pillarbox.store.flags import SEEN
from pillarbox.wire.outbox import Outbox

BATCH = 256
"""Messages that are read with one call: few enough that others get their turn in between."""

BATCH_FLAGS = 10_000
"""The same where nothing is read."""

BATCH_OCTETS = 1024 * 1024
"""Octets of messages in one batch."""

LARGE = 64 * 1024
"""A message above this size goes out as the store's own chunk, not copied into a response."""

Records = dict[int, MessageRecord | None] | None
"""By UID; None when no item needs them."""


class Answer:
    """What one FETCH command asks for, and how many messages were answered."""

    __slots__ = ("answered", "items", "needs", "out", "selected", "session", "with_flags")

    def __init__(self, session: Session, items: Sequence[Item], out: Outbox) -> None:
        self.session = session
        self.selected = session.mailbox
        self.out = out
        self.items = items
        self.needs = reduce(or_, (item.needs for item in items), Need.NOTHING)
        self.with_flags: frozenset[int] = frozenset()  # UIDs whose flags are told although nobody asked
        self.answered = 0

    async def send(self, spans: list[range]) -> None:
        """Answer for the messages at these positions; those that are gone are left out. Raises Refused, Disconnect."""
        if {*self.items} <= {FLAGS, UID, MODSEQ} and FLAGS in self.items:
            await self._send_flags(spans)
            return
        marks_seen = any(item.marks_seen for item in self.items) and not self.selected.read_only
        for batch in _cut(spans, BATCH):
            if marks_seen:
                await self._mark_seen(batch)
            await self._send_batch(batch)
            await self.out.drain()

    async def _send_flags(self, spans: list[range]) -> None:
        for batch in _cut(spans, BATCH_FLAGS):
            self.selected.write_flags(self.out, batch, uid=UID in self.items, modseq=MODSEQ in self.items)
            self.answered += sum(map(len, batch)) if self.selected.in_step else len(list(self.selected.messages(batch)))
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
        if FLAGS not in self.items:
            self.with_flags = frozenset(stored.changed)

    async def _send_batch(self, batch: list[range]) -> None:
        uids = self.selected.take(batch)
        records: Records = None
        if self.needs & Need.RECORD:
            found = await self.session.mail.records(self.session.account, self.selected.view.mailbox, uids)
            records = dict(zip(uids, found, strict=True))
        if not self.needs & (Need.HEADER | Need.OCTETS):
            self._write(batch, records, None)
            return
        for lighter in self._by_weight(batch, records):
            if not await self._send_large(lighter, records):
                self._write(lighter, records, await self._contents(lighter, records))
            await self.out.drain()

    async def _contents(self, batch: list[range], records: Records) -> dict[int, bytes | None]:
        """The octets that are needed of these messages."""
        mail, account, mailbox = self.session.mail, self.session.account, self.selected.view.mailbox
        contents: dict[int, bytes | None] = {}
        for uid in self.selected.take(batch):
            record = records.get(uid) if records else None
            if self.needs & Need.OCTETS:
                contents[uid] = await mail.octets(account, mailbox, uid)
            elif record is not None:
                contents[uid] = await mail.octets(account, mailbox, uid, 0, record.summary.header_size)
        return contents

    def _write(
        self,
        batch: list[range],
        records: Records,
        contents: dict[int, bytes | None] | None,
    ) -> None:
        """The responses of a batch, all at once: nothing waits here, so that the view stays as it is."""
        values = [item.value for item in self.items if not isinstance(item, Literal)]
        literals = [item.write for item in self.items if isinstance(item, Literal)]
        message = Message(self.selected)
        pieces: list[bytes] = []
        for number, uid, at in self.selected.messages(batch):
            if records is not None:
                record = records[uid]
                if record is None:
                    continue
                message.record = record
            if contents is not None:
                octets = contents.get(uid)
                if octets is None:
                    continue
                message.octets = octets
            message.turn_to(number, uid, at)
            self.answered += 1
            text = b" ".join([value(message) for value in values])
            if uid in self.with_flags:
                text = self._and_flags(text, message)
            if not literals:
                pieces.append(b"* %d FETCH (%b)\r\n" % (number, text))
                continue
            # Literals come last: their octets are pieces of their own, joined once with everything else.
            pieces.append(b"* %d FETCH (%b" % (number, text + b" " if text else b""))
            literals[0](message, pieces)
            for write in literals[1:]:
                pieces.append(b" ")
                write(message, pieces)
            pieces.append(b")\r\n")
        if pieces:
            self.out.write(b"".join(pieces))

    def _and_flags(self, text: bytes, message: Message) -> bytes:
        """Add what is told of a message that became seen by this command (RFC 9051 §6.4.5)."""
        text = b"%b %b" % (text, FLAGS.value(message)) if text else FLAGS.value(message)
        if self.selected.condstore and MODSEQ not in self.items:
            text += b" " + MODSEQ.value(message)
        return text

    async def _send_large(self, batch: list[range], records: Records) -> bool:
        """Send a large message by itself; False when the batch is an ordinary one."""
        found = next(iter(self.selected.messages(batch)), None)
        if found is None:
            return True
        record = records.get(found[1]) if records else None
        if self._weight(found[2], record) < LARGE:
            return False
        if record is None:
            [record] = await self.session.mail.records(self.session.account, self.selected.view.mailbox, found[1:2])
            if record is None:
                return True
        message = Message(self.selected)
        message.turn_to(*found)
        message.record = record
        large = LargeMessage(self.session, self.items, message, self.out)
        if not await large.prepare():
            return True
        found = next(iter(self.selected.messages(batch)), None)  # while it was read, the view may have moved on
        if found is None:
            return True
        message.at = found[2]
        text = b" ".join([item.value(message) for item in self.items if not isinstance(item, Literal)])
        if message.uid in self.with_flags:
            text = self._and_flags(text, message)
        self.answered += 1
        await large.send(text)
        return True

    def _weight(self, at: int, record: MessageRecord | None) -> int:
        """Octets that are read of a message."""
        if self.needs & Need.OCTETS:
            return self.selected.view.sizes[at]
        return 0 if record is None else record.summary.header_size

    def _by_weight(self, batch: list[range], records: Records) -> Iterator[list[range]]:
        """A batch in smaller ones, so that what is read and what is sent stays bounded; a large message is alone."""
        limit = BATCH_OCTETS // max(1, sum(isinstance(item, Literal) for item in self.items))
        weights = [
            (number, self._weight(at, records.get(uid) if records else None))
            for number, uid, at in self.selected.messages(batch)
        ]
        positions: list[range] = []
        total = 0
        for number, weight in weights:
            if positions and (weight >= LARGE or total + weight > limit):
                yield positions
                positions, total = [], 0
            if positions and positions[-1].stop == number - 1:
                positions[-1] = range(positions[-1].start, number)
            else:
                positions.append(range(number - 1, number))
            total += weight
            if weight >= LARGE:
                yield positions
                positions, total = [], 0
        if positions:
            yield positions


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
