"""The FETCH responses of one command: batches of messages, one coarse call to the store for each."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_

from pillarbox.imap.errors import Disconnect
from pillarbox.imap.fetch.body import RangeItem
from pillarbox.imap.fetch.item import Item, Literal, Message, Need
from pillarbox.imap.fetch.metadata import FLAGS, MODSEQ, UID
from pillarbox.imap.session import Session
from pillarbox.imap.view import Selected
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

PIECE = 4 * 1024 * 1024
"""Octets of a large message that are in memory at a time."""


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
        for batch in self._batches(spans):
            if marks_seen:
                await self._mark_seen(batch)
            await self._send_batch(batch)
            await self.out.drain()

    async def _send_flags(self, spans: list[range]) -> None:
        for batch in _cut(spans, BATCH_FLAGS):
            self.selected.write_flags(self.out, batch, uid=UID in self.items, modseq=MODSEQ in self.items)
            self.answered += sum(map(len, batch)) if self.selected.in_step else len(list(self.selected.messages(batch)))
            await self.out.drain()

    def _batches(self, spans: list[range]) -> Iterator[list[range]]:
        """Batches of bounded length, and of bounded size where octets are read."""
        for batch in _cut(spans, BATCH):
            if self.needs & Need.OCTETS:
                yield from _by_size(self.selected, batch)
            else:
                yield batch

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
        records: dict[int, MessageRecord | None] | None = None
        mail, account, mailbox = self.session.mail, self.session.account, self.selected.view.mailbox
        if self.needs & Need.RECORD:
            records = dict(zip(uids, await mail.records(account, mailbox, uids), strict=True))
        contents: dict[int, bytes | None] | None = None
        if self.needs & Need.OCTETS:
            if len(uids) == 1 and await self._send_large(batch, records):
                return
            contents = {uid: await mail.octets(account, mailbox, uid) for uid in uids}
        elif self.needs & Need.HEADER and records is not None:
            contents = {
                uid: await mail.octets(account, mailbox, uid, 0, record.summary.header_size)
                for uid, record in records.items()
                if record is not None
            }
        self._write(batch, records, contents)

    def _write(
        self,
        batch: list[range],
        records: dict[int, MessageRecord | None] | None,
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

    async def _send_large(self, batch: list[range], records: dict[int, MessageRecord | None] | None) -> bool:
        """Send a large message's ranges as they come from the store; False when it has to be looked into, or is small."""
        ranges = [item for item in self.items if isinstance(item, Literal)]
        found = next(iter(self.selected.messages(batch)), None)
        if found is None or self.selected.view.sizes[found[2]] < LARGE:
            return False
        message = Message(self.selected)
        message.turn_to(*found)
        if records is not None:
            record = records[message.uid]
            if record is None:
                return True
            message.record = record
        extents = [(item, *item.extent(message)) for item in ranges if isinstance(item, RangeItem)]
        if len(extents) != len(ranges):
            return False
        text = b" ".join([item.value(message) for item in self.items if not isinstance(item, Literal)])
        if message.uid in self.with_flags:
            text = self._and_flags(text, message)
        opening = b"* %d FETCH (%b" % (message.number, text + b" " if text else b"")
        for item, start, stop in extents:
            octets = await self._read(message.uid, start, min(stop - start, PIECE))
            if octets is None:
                if opening.startswith(b"*"):
                    return True
                raise Disconnect("A message was deleted while it was being sent")
            self.out.write(opening + item.label + b" {%d}\r\n" % (stop - start))
            self.out.write(octets)
            await self._send_rest(message.uid, start + len(octets), stop)
            opening = b" "
        self.out.write(b")\r\n")
        self.answered += 1
        return True

    async def _send_rest(self, uid: int, start: int, stop: int) -> None:
        while start < stop:
            await self.out.drain()
            octets = await self._read(uid, start, min(stop - start, PIECE))
            if not octets:
                # The literal's length was announced: there is no way to say this inside of it.
                raise Disconnect("A message was deleted while it was being sent")
            self.out.write(octets)
            start += len(octets)

    async def _read(self, uid: int, start: int, length: int) -> bytes | None:
        octets = await self.session.mail.octets(self.session.account, self.selected.view.mailbox, uid, start, length)
        return octets.replace(b"\0", b"\x80") if octets is not None and b"\0" in octets else octets


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


def _by_size(selected: Selected, batch: list[range]) -> Iterator[list[range]]:
    """A batch in smaller ones of bounded size; a large message is alone."""
    sizes = selected.view.sizes
    positions: list[range] = []
    total = 0
    for number, _uid, at in list(selected.messages(batch)):
        size = sizes[at]
        if positions and (size >= LARGE or total + size > BATCH_OCTETS):
            yield positions
            positions, total = [], 0
        if positions and positions[-1].stop == number - 1:
            positions[-1] = range(positions[-1].start, number)
        else:
            positions.append(range(number - 1, number))
        total += size
        if size >= LARGE:
            yield positions
            positions, total = [], 0
    if positions:
        yield positions
