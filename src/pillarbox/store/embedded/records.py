"""What is read of single messages: records, octets, Message-IDs, tombstones."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Any

import apsw
import msgspec

from pillarbox.mail.summary import Listed, Summary, listed, summarise_anyway
from pillarbox.store.api import MessageRecord
from pillarbox.store.embedded.changelog import decode_uids
from pillarbox.store.embedded.reading import BlobReader, Place
from pillarbox.store.embedded.schema import UNDECODABLE, decoding, query
from pillarbox.store.embedded.summaries import message_id_hash, unpack, unpack_listed
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.view import MailboxView

_AT_ONCE = 64  # so many rows are read faster than a thread answers
_CHUNK = 500  # rows that are unpacked before the event loop looks after others
_IDS_AT_ONCE = 5000  # the same where a row is only an id
_AHEAD = 64  # places of the messages that follow, when someone reads them in order
_PLACES = 4096
_KEPT = 2048
_KEPT_SUMMARY = 4096  # records of so many octets at most are kept: with _KEPT of them some 8 MB, and hardly ever that

_RECORD = (
    "SELECT m.uid, b.summary, m.email_id, m.thread_id, m.savedate, m.trace_id, m.filed_by_server "
    "FROM messages AS m JOIN blobs AS b ON b.id = m.blob WHERE m.mailbox = ? AND "
)
_SUMMARY = "SELECT m.uid, b.summary FROM messages AS m JOIN blobs AS b ON b.id = m.blob WHERE m.mailbox = ? AND "
BY_MESSAGE_ID = (  # without being told, SQLite, which does not know how many messages a mailbox has, reads all of them
    "SELECT m.uid, b.summary FROM messages AS m INDEXED BY messages_by_message_id JOIN blobs AS b ON b.id = m.blob "
    "WHERE m.mailbox = ? AND m.message_id_hash = ? ORDER BY m.uid"
)
PLACES = (
    "SELECT m.uid, b.segment, b.offset, b.size FROM messages AS m JOIN blobs AS b ON b.id = m.blob "
    "WHERE m.mailbox = ? AND m.uid BETWEEN ? AND ?"
)
_EMAIL_ID = "SELECT m.uid, m.email_id FROM messages AS m WHERE m.mailbox = ? AND "
_RANGE = "m.uid BETWEEN ? AND ?"
_LIST = "m.uid IN (SELECT value FROM json_each(?))"

_json = msgspec.json.Encoder()


class Records:
    """Reads of messages. `near` is a connection for the event loop."""

    def __init__(self, near: apsw.Connection, workers: Workers, blobs: BlobReader) -> None:
        self._near = near
        self._workers = workers
        self._blobs = blobs
        self._places: dict[tuple[int, int], Place] = {}
        self._kept: dict[tuple[int, int], MessageRecord] = {}
        self._last = (0, 0)  # the message that was read last

    async def records(self, view: MailboxView, uids: Sequence[int]) -> list[MessageRecord | None]:
        """One for each UID, None where it is gone."""
        try:
            if len(uids) <= _AT_ONCE:
                return self._recent_records(view, uids)
            return await self._many_records(view, uids)
        except UNDECODABLE:  # a summary is damaged
            return await self._mended_records(view, uids)

    async def _many_records(self, view: MailboxView, uids: Sequence[int]) -> list[MessageRecord | None]:
        found: list[MessageRecord | None] = []
        for i in range(0, len(uids), _CHUNK):
            chunk = uids[i : i + _CHUNK]
            records = {row[0]: _record(row) for row in await self._rows(_RECORD, view.mailbox, chunk)}
            found += [records.get(uid) if view.index(uid) >= 0 else None for uid in chunk]
        return found

    async def _mended_records(self, view: MailboxView, uids: Sequence[int]) -> list[MessageRecord | None]:
        found: dict[int, MessageRecord] = {}
        for uid, packed, *rest in await self._rows(_RECORD, view.mailbox, uids):
            if view.index(uid) >= 0:
                summary = await self._summary(view, uid, packed)
                found[uid] = MessageRecord(uid, summary, rest[0], rest[1], rest[2], rest[3], bool(rest[4]))
        return [found.get(uid) for uid in uids]

    def _recent_records(self, view: MailboxView, uids: Sequence[int]) -> list[MessageRecord | None]:
        """Few records. They never change, and what one program shows is what the owner's others show next: they are kept."""
        kept, mailbox = self._kept, view.mailbox
        known = [kept.get((mailbox, uid)) for uid in uids]
        if None not in known and _in_a_row(view, uids):
            return known
        present = [uid for uid in uids if view.index(uid) >= 0]
        found = {uid: record for uid in present if (record := kept.get((mailbox, uid))) is not None}
        missing = {uid for uid in present if uid not in found}
        if missing:
            for row in query(self._near, *_select(_RECORD, mailbox, missing)):
                if row[0] not in missing:
                    continue
                found[row[0]] = record = _record(row)
                if len(row[1]) <= _KEPT_SUMMARY:
                    kept[mailbox, row[0]] = record
            if len(kept) > _KEPT:
                kept.clear()
        return [found.get(uid) for uid in uids]

    async def listed(self, view: MailboxView, uids: Sequence[int]) -> list[Listed | None]:
        """What listings show of each, None where it is gone."""
        if len(uids) > _AT_ONCE:
            try:
                return await self._many_listed(view, uids)
            except UNDECODABLE:  # a summary is damaged
                pass
        return [None if record is None else listed(record.summary) for record in await self.records(view, uids)]

    async def _many_listed(self, view: MailboxView, uids: Sequence[int]) -> list[Listed | None]:
        found: list[Listed | None] = []
        for i in range(0, len(uids), _CHUNK):
            chunk = uids[i : i + _CHUNK]
            rows = await self._rows(_SUMMARY, view.mailbox, chunk)
            shown = unpack_listed([packed for _, packed in rows])
            if _all_there(view, chunk, rows):
                found += shown
                continue
            by_uid = dict(zip([uid for uid, _ in rows], shown, strict=True))
            found += [by_uid.get(uid) if view.index(uid) >= 0 else None for uid in chunk]
        return found

    async def email_ids(self, view: MailboxView, uids: Sequence[int]) -> list[str | None]:
        """One for each UID, None where it is gone."""
        found: list[str | None] = []
        for i in range(0, len(uids), _IDS_AT_ONCE):
            chunk = uids[i : i + _IDS_AT_ONCE]
            ids: dict[int, str] = dict(await self._rows(_EMAIL_ID, view.mailbox, chunk))
            found += [ids.get(uid) if view.index(uid) >= 0 else None for uid in chunk]
        return found

    async def octets(self, view: MailboxView, uid: int, start: int, length: int | None) -> bytes | None:
        """A message's octets, or a part of them; None when it is gone. Raises StoreUnavailable."""
        if view.index(uid) < 0:
            return None
        place = self._place(view, uid)
        if place is not None:
            try:
                return await self._blobs.read_place(place, start, length)
            except OSError:
                self._places.clear()  # compaction moves blobs: look again
        which = "SELECT blob FROM messages WHERE mailbox = ? AND uid = ?"
        return await self._blobs.read(which, (view.mailbox, uid), start, length)

    async def contents(self, view: MailboxView, uids: Sequence[int], sizes: Sequence[int] | None) -> list[bytes | None]:
        """The octets of each, or so many from its beginning; None where it is gone. Raises StoreUnavailable."""
        found: list[bytes | None] = []
        for n, uid in enumerate(uids):
            length = None if sizes is None else sizes[n]
            octets = None
            if view.index(uid) >= 0 and (place := self._place(view, uid)) is not None:
                octets = self._blobs.read_now(place, length)
            found.append(await self.octets(view, uid, 0, length) if octets is None else octets)
        return found

    async def _summary(self, view: MailboxView, uid: int, packed: bytes) -> Summary:
        """A message's summary; a damaged one is worked out of the octets again. Raises StoreUnavailable."""
        try:
            return unpack(packed)
        except UNDECODABLE:
            octets = await self.octets(view, uid, 0, None) or b""
        return summarise_anyway(octets)

    def find_message_id(self, view: MailboxView, message_id: str) -> list[int]:
        """UIDs of the messages with this Message-ID, ascending."""
        rows = query(self._near, BY_MESSAGE_ID, (view.mailbox, message_id_hash(message_id)))
        with decoding("a summary"):
            return [uid for uid, packed in rows if view.index(uid) >= 0 and unpack(packed).message_id == message_id]

    def expunged_since(self, mailbox: int, modseq: int) -> list[int]:
        """UIDs that went after this modseq, ascending."""
        rows = query(self._near, "SELECT uids FROM expunges WHERE mailbox = ? AND modseq > ?", (mailbox, modseq))
        with decoding("the list of what was expunged"):
            return sorted(uid for (octets,) in rows for uid in decode_uids(octets))

    def _place(self, view: MailboxView, uid: int) -> Place | None:
        """Where a message's octets are. Whoever asks for one message after the other gets places from memory."""
        key = (view.mailbox, uid)
        place = self._places.get(key)
        if place is None:
            self._look_ahead(view, uid)
            place = self._places.get(key)
        self._last = key
        return place

    def _look_ahead(self, view: MailboxView, uid: int) -> None:
        uids = view.uids
        i = bisect_left(uids, uid)
        in_order = i > 0 and self._last == (view.mailbox, uids[i - 1])
        last = uids[min(i + _AHEAD, len(uids)) - 1] if in_order else uid
        rows = query(self._near, PLACES, (view.mailbox, uid, last))
        if len(self._places) > _PLACES:
            self._places.clear()
        for uid, *place in rows:
            self._places[view.mailbox, uid] = (place[0], place[1], place[2])

    async def _rows(self, select: str, mailbox: int, uids: Sequence[int]) -> list[Any]:
        sql, row = _select(select, mailbox, uids)
        if len(uids) <= _AT_ONCE:
            return query(self._near, sql, row)
        return await self._workers.read(query, sql, row)


def _select(select: str, mailbox: int, uids: Collection[int]) -> tuple[str, tuple[object, ...]]:
    """A query for these messages and perhaps some between them, and its values."""
    low, high = min(uids), max(uids)
    if high - low < 2 * len(uids):
        return select + _RANGE, (mailbox, low, high)
    return select + _LIST, (mailbox, _json.encode(list(uids)).decode())


def _all_there(view: MailboxView, uids: Sequence[int], rows: Sequence[tuple[int, bytes]]) -> bool:
    """Whether these are the rows of just these messages, in this order, and none of them is gone: the usual case."""
    return len(rows) == len(uids) and [uid for uid, _ in rows] == list(uids) and _in_a_row(view, uids)


def _in_a_row(view: MailboxView, uids: Sequence[int]) -> bool:
    """Whether these messages stand one behind the other, and so none of them is gone."""
    at = view.index(uids[0]) if uids else -1
    return at >= 0 and view.uids[at : at + len(uids)].tolist() == list(uids)


def _record(row: tuple[int, bytes, str, str, int, str, int]) -> MessageRecord:
    """A row of _RECORD."""
    uid, summary, email_id, thread_id, savedate, trace_id, filed_by_server = row
    return MessageRecord(uid, unpack(summary), email_id, thread_id, savedate, trace_id, bool(filed_by_server))
