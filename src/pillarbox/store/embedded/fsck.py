"""fsck: does everything that the index says hold, and is every message readable? Repairs what is safe to repair.

It works on the open store, in small steps beside its other work. A finding that concerns someone's mail names account,
mailbox and UID. It repairs counters, places of octets that are somewhere else, rows that lead nowhere. It never deletes mail.
"""

import json
from collections.abc import AsyncIterator, Collection
from itertools import pairwise
from pathlib import Path
from typing import Any

from pillarbox.store.api import Progress, StoreError
from pillarbox.store.embedded import segments, views
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.compaction import Compaction
from pillarbox.store.embedded.indexer import Indexer
from pillarbox.store.embedded.schema import query
from pillarbox.store.embedded.segments import RECORD_HEADER, Record
from pillarbox.store.embedded.state import Mailbox, Owner, State
from pillarbox.store.embedded.views import Views
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Writer

_BLOBS = 200  # to a step

_ROWS_THAT_LEAD_NOWHERE = [
    ("queued recipients without a message", "queue_recipients", "entry NOT IN (SELECT id FROM queue)"),
    ("queue entries without recipients", "queue", "id NOT IN (SELECT entry FROM queue_recipients)"),
    ("packed states without a mailbox", "states", "mailbox NOT IN (SELECT id FROM mailboxes)"),
    ("changes without a mailbox", "changes", "mailbox NOT IN (SELECT id FROM mailboxes)"),
    ("tombstones without a mailbox", "expunges", "mailbox NOT IN (SELECT id FROM mailboxes)"),
    ("subscriptions without an account", "subscriptions", "account NOT IN (SELECT id FROM accounts)"),
]

ORPHANS = (
    "id NOT IN (SELECT blob FROM released) AND NOT EXISTS (SELECT 1 FROM messages WHERE blob = blobs.id) "
    "AND NOT EXISTS (SELECT 1 FROM queue WHERE blob = blobs.id)"
)

_LIVE = (
    f"SELECT id, live, coalesce((SELECT sum(size + {RECORD_HEADER}) FROM blobs WHERE segment = segments.id), 0) AS counted "
    "FROM segments"
)


def _nobody_waits(_done: int, _total: int) -> None:
    """Nobody is told."""


class EmbeddedCheck:
    """Implements `store.api.Check`."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        views: Views,
        folder: Path,
        workers: Workers,
        indexer: Indexer,
        compaction: Compaction,
    ) -> None:
        self._compaction = compaction
        self._indexer = indexer
        self._state = state
        self._writer = writer
        self._views = views
        self._folder = folder
        self._workers = workers
        self._progress: Progress = _nobody_waits

    async def problems(self, *, repair: bool, progress: Progress | None = None) -> AsyncIterator[str]:
        """Everything that is wrong, as sentences; `repair` puts right what can be and says so."""
        self._progress = progress or _nobody_waits
        parts = (
            self._index,
            self._octets,
            self._references,
            self._mailboxes,
            self._rows,
            self._segments,
            self._searches,
        )
        for part in parts:
            async for problem in part(repair):
                yield problem

    async def _index(self, _: bool) -> AsyncIterator[str]:  # noqa: FBT001
        for (line,) in await self._query("PRAGMA integrity_check"):
            if line != "ok":
                yield (
                    f"the index is damaged: {line}. Restore a backup, or stop the server and let `pillarbox fsck --repair` "
                    "make a new one"
                )

    # Octets

    async def _octets(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        elsewhere: dict[int, list[tuple[int, Record]]] | None = None
        last = done = 0
        [(total,)] = await self._query("SELECT count(*) FROM blobs")
        self._progress(0, total)
        while rows := await self._query(
            "SELECT id, segment, offset, size, crc FROM blobs WHERE id > ? ORDER BY id LIMIT ?", (last, _BLOBS)
        ):
            last = rows[-1][0]
            for blob, segment, offset, size, crc in await self._misplaced(rows):
                if elsewhere is None:
                    elsewhere = await self._workers.run(self._all_records)
                found = await self._workers.run(self._whole, elsewhere.get(blob, []), size, crc)
                who = await self._whose(blob)
                where = f"blob {blob} at {offset} in segment {segment:08x}"
                if found is None:
                    yield f"the octets of {who} are missing or damaged ({where}): restore them from a backup"
                    continue
                if repair:
                    await self._execute(
                        "UPDATE blobs SET segment = ?, offset = ? WHERE id = ? AND segment = ? AND offset = ?",
                        (*found, blob, segment, offset),
                    )
                yield f"the octets of {who} are not where the index says ({where}), but elsewhere" + _repaired(repair)
            done += len(rows)
            self._progress(done, total)

    async def _misplaced(self, rows: list[tuple[int, int, int, int, int]]) -> list[tuple[int, int, int, int, int]]:
        """Rows whose octets are not there although the index still says so: compaction moves octets while we look."""
        found: list[tuple[int, int, int, int, int]] = []
        while rows := await self._workers.run(self._unreadable, rows):
            now = await self._query(
                "SELECT id, segment, offset, size, crc FROM blobs WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps([row[0] for row in rows]),),
            )
            found += [row for row in now if row in rows]
            rows = [row for row in now if row not in rows]
        return found

    def _unreadable(self, rows: list[tuple[int, int, int, int, int]]) -> list[tuple[int, int, int, int, int]]:
        return [
            row
            for row in rows
            if not segments.is_whole(self._folder, row[1], row[2], blob=row[0], size=row[3], crc=row[4])
        ]

    def _all_records(self) -> dict[int, list[tuple[int, Record]]]:
        found: dict[int, list[tuple[int, Record]]] = {}
        for number in segments.numbers(self._folder):
            for record in self._records(number):
                found.setdefault(record.blob, []).append((number, record))
        return found

    def _records(self, segment: int) -> list[Record]:
        try:
            return list(segments.scan(self._folder, segment))
        except FileNotFoundError:
            return []  # compacted away meanwhile

    def _whole(self, candidates: list[tuple[int, Record]], size: int, crc: int) -> tuple[int, int] | None:
        for number, record in candidates:
            same = (record.size, record.crc) == (size, crc)
            if same and segments.is_whole(self._folder, number, record.offset, blob=record.blob, size=size, crc=crc):
                return number, record.offset
        return None

    async def _whose(self, blob: int) -> str:
        rows = await self._query("SELECT mailbox, uid FROM messages WHERE blob = ? LIMIT 1", (blob,))
        for mailbox, uid in rows:
            for owner in self._state.owners.values():
                if mailbox in owner.mailboxes:
                    return f"{owner.account.address}'s message {uid} in {owner.mailboxes[mailbox].name}"
        entries = await self._query("SELECT id FROM queue WHERE blob = ?", (blob,))
        return f"queued message {entries[0][0]}" if entries else "an expunged message"

    async def _references(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        for mailbox, uid, blob in await self._query(
            "SELECT mailbox, uid, blob FROM messages WHERE blob NOT IN (SELECT id FROM blobs)"
        ):
            yield f"message {uid} of mailbox {mailbox} refers to blob {blob}, which the index does not have"
        for entry, blob in await self._query("SELECT id, blob FROM queue WHERE blob NOT IN (SELECT id FROM blobs)"):
            yield f"queued message {entry} refers to blob {blob}, which the index does not have"
        count = (await self._query(f"SELECT count(*) FROM blobs WHERE {ORPHANS}"))[0][0]
        if count:
            if repair:
                await self._execute(f"INSERT OR IGNORE INTO released SELECT id FROM blobs WHERE {ORPHANS}")
            yield f"{count} blobs belong to no message and no queue entry" + _repaired(repair)

    # Mailboxes

    async def _mailboxes(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        for owner in list(self._state.owners.values()):
            for mailbox in list(owner.mailboxes.values()):
                where = f"{owner.account.address}'s {mailbox.name}"
                for problem in await self._undecodable(mailbox, where, repair=repair):
                    yield problem
                try:
                    view = await self._views.open(mailbox)
                except StoreError as error:
                    yield f"{where} cannot be opened: {error}"
                    continue
                uids, sizes = list(view.uids), list(view.sizes)  # now: the view goes on while we ask the index
                if any(a >= b for a, b in pairwise(uids)) or (uids and uids[-1] >= view.uidnext):
                    yield f"the UIDs of {where} are not in order"
                rows = dict(await self._query("SELECT uid, size FROM messages WHERE mailbox = ?", (mailbox.id,)))
                for uid, size in zip(uids, sizes, strict=True):
                    if rows.get(uid, size) != size:
                        yield f"the size of message {uid} in {where} is {size} in one place and {rows[uid]} in another"
                    elif uid not in rows and view.index(uid) >= 0:
                        yield f"message {uid} of {where} is listed, but nothing is known of it"
                if await self._writer.do(lambda batch, o=owner, m=mailbox: self._count(batch, o, m, repair=repair)):  # type: ignore[misc]
                    yield f"the counters of {where} are wrong" + _repaired(repair)

    async def _undecodable(self, mailbox: Mailbox, where: str, *, repair: bool) -> list[str]:
        """Rows of a mailbox's state that cannot be read. Without them it is what the rest says: flags as they were before,
        expunged messages that are back. No mail is lost with them."""
        found = []
        for table, what, modseq in await self._workers.read(views.undecodable, mailbox.id):
            if repair:
                await self._execute(f"DELETE FROM {table} WHERE mailbox = ? AND modseq IS ?", (mailbox.id, modseq))
            found.append(f"{what} of {where} cannot be read" + _repaired(repair))
        return found

    def _count(self, batch: Batch, owner: Owner, mailbox: Mailbox, *, repair: bool) -> bool:
        """A plan, so that view and counters are of the same moment."""
        view = mailbox.loaded()
        if view is None or owner.account.id not in self._state.owners or mailbox.id not in owner.mailboxes:
            return False
        messages, octets = len(view.uids), sum(view.sizes)
        if (messages, octets) == (mailbox.messages, mailbox.octets):
            return False
        if repair:
            counters, draft = batch.owner(owner.account.id), batch.mailbox(mailbox)
            for d in (counters, draft):
                d.messages += messages - mailbox.messages
                d.octets += octets - mailbox.octets
            batch.then(lambda: None)
        return True

    # Rows and segments

    async def _rows(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        for what, table, condition in _ROWS_THAT_LEAD_NOWHERE:
            count = (await self._query(f"SELECT count(*) FROM {table} WHERE {condition}"))[0][0]
            if count:
                if repair:
                    await self._execute(f"DELETE FROM {table} WHERE {condition}")
                yield f"{count} {what}" + _repaired(repair)

    async def _segments(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        for segment, live, real in await self._query(f"SELECT * FROM ({_LIVE}) WHERE live != counted"):
            if repair:
                await self._execute("UPDATE segments SET live = ? WHERE id = ?", (real, segment))
                self._compaction.suspect((segment,))
            yield f"segment {segment:08x} holds {real} octets that live, not {live}" + _repaired(repair)
        numbers = await self._workers.run(segments.numbers, self._folder)
        known = {segment for (segment,) in await self._query("SELECT id FROM segments")}
        for number in numbers:
            if number not in known:
                count = len(await self._workers.run(self._records, number))
                if count:
                    yield f"segment {number:08x} is unknown to the index; it holds {count} messages"

    async def _searches(self, repair: bool) -> AsyncIterator[str]:  # noqa: FBT001
        try:
            found = await self._indexer.problem()
            if found and repair:
                await self._indexer.rebuild()
        except StoreError as error:
            yield str(error)
        else:
            if found:
                yield f"the full-text index is damaged ({found}): searches may miss mail" + _repaired(repair)

    async def count(self, sql: str) -> int:
        """The number that a query gives."""
        return int((await self._query(sql))[0][0])

    async def uids_of(self, mailbox: int, blobs: Collection[int]) -> list[int]:
        """The messages of a mailbox whose octets are these blobs."""
        rows = await self._query(
            "SELECT uid FROM messages WHERE mailbox = ? AND blob IN (SELECT value FROM json_each(?))",
            (mailbox, json.dumps(list(blobs))),
        )
        return [uid for (uid,) in rows]

    async def crc(self, mailbox: int, uid: int) -> int:
        """The checksum that a message's octets must have; -1 when there is no such message."""
        rows = await self._query(
            "SELECT crc FROM messages JOIN blobs ON id = blob WHERE mailbox = ? AND uid = ?", (mailbox, uid)
        )
        return int(rows[0][0]) if rows else -1

    async def _query(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        return await self._workers.read(query, sql, values)

    async def _execute(self, sql: str, values: tuple[object, ...] = ()) -> None:
        await self._writer.do(lambda batch: batch.execute(sql, values))


def _repaired(repair: bool) -> str:  # noqa: FBT001
    return ": repaired" if repair else ""
