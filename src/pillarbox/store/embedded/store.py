"""EmbeddedStore: SQLite and segment files in one directory; ties writer, views, directory, mail and queue together."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from pillarbox.store.api import Bounce, Delivery, Relay, StoreError, StoreUnavailable
from pillarbox.store.changes import ChangeFeed
from pillarbox.store.embedded import acceptance, mail, notes, schema, segments, state
from pillarbox.store.embedded.batch import Batch, Undecided
from pillarbox.store.embedded.compaction import Compaction
from pillarbox.store.embedded.directory import EmbeddedDirectory
from pillarbox.store.embedded.figures import Figures
from pillarbox.store.embedded.fsck import EmbeddedCheck
from pillarbox.store.embedded.incoming import Incoming, Intake
from pillarbox.store.embedded.indexer import Indexer
from pillarbox.store.embedded.mail import EmbeddedMail
from pillarbox.store.embedded.mailboxes import existing_name
from pillarbox.store.embedded.notes import Delivered
from pillarbox.store.embedded.place import Place
from pillarbox.store.embedded.placements import Placements
from pillarbox.store.embedded.queueing import EmbeddedQueue, PlanBounce
from pillarbox.store.embedded.reading import BlobReader, SegmentReader
from pillarbox.store.embedded.records import Records
from pillarbox.store.embedded.segments import SegmentLog
from pillarbox.store.embedded.state import Mailbox, State
from pillarbox.store.embedded.sweeper import Sweeper
from pillarbox.store.embedded.views import Views
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Observer, Writer
from pillarbox.store.spool import Budget, Spool
from pillarbox.store.view import MailboxView

Part = tuple[Incoming, Sequence[Delivery]]
"""One version of a message, and where it goes."""


def _unobserved(event: str, **facts: object) -> None:
    del event, facts


class EmbeddedStore:
    """Implements `store.api.Store`. Made by `open`."""

    def __init__(self, place: Place, known: State, log: SegmentLog, index: apsw.Connection, observer: Observer) -> None:
        self._place = place
        self._spools = Budget(str(place.incoming))
        self._closed = False
        self._state = known
        self._log = log
        self._index = index
        self._near = schema.connect(place.directory, writer=False)
        self._workers = Workers(place.directory)
        self._writer = Writer(known, log, index, observer)
        self._views = Views(self._writer, self._near, self._workers)
        self._intake = Intake(known, log, place.segments, self._workers, observer)
        self._reader = SegmentReader(place.segments, self._workers)
        self._blobs = BlobReader(self._near, self._reader)
        records = Records(self._near, self._workers, self._blobs)
        self._indexer = Indexer(place.directory, known, self._near, self._blobs, observer)
        self._placements = Placements(place.directory, self._near, known.clock, observer)
        self._directory = EmbeddedDirectory(known, self._writer)
        self._mail = EmbeddedMail(known, self._writer, self._views, self._intake, records, self._indexer, self._workers)
        self._queue = EmbeddedQueue(self._writer, self._near, self._blobs, self._prepare_bounce)
        compaction = Compaction(self._writer, log, self._reader, self._near, self._workers, observer)
        self._check = EmbeddedCheck(
            known, self._writer, self._views, place.segments, self._workers, self._indexer, compaction
        )
        self._figures = Figures(place, known, self._writer, compaction, self._indexer, self._workers)
        self._sweeper = Sweeper(self._writer, compaction, self._near, observer)
        self._writer.on_garbage = self._sweeper.wake
        self._sweeper.on_swept = self._indexer.forget

    @classmethod
    async def open(
        cls, directory: Path, *, observer: Observer = _unobserved, clock: Callable[[], float] = time.time
    ) -> "EmbeddedStore":
        """Open the store in a directory, or make a new one there. Raises StoreError when another process uses it or a
        newer Pillarbox wrote it, StoreUnavailable when it cannot be read."""
        try:
            place = await asyncio.to_thread(Place.take, directory)
        except OSError as error:
            raise StoreUnavailable(f"the store in {directory} cannot be opened: {error}") from error
        try:
            known, log, index = await asyncio.to_thread(_read, place, clock)
            return cls(place, known, log, index, observer)
        except (apsw.Error, OSError) as error:
            place.release()
            raise StoreUnavailable(f"the store in {directory} cannot be opened: {error}") from error
        except BaseException:
            place.release()
            raise

    @property
    def changes(self) -> ChangeFeed:
        return self._state.changes

    @property
    def directory(self) -> EmbeddedDirectory:
        return self._directory

    @property
    def mail(self) -> EmbeddedMail:
        return self._mail

    @property
    def queue(self) -> EmbeddedQueue:
        return self._queue

    @property
    def check(self) -> EmbeddedCheck:
        """Finds and repairs damage, see `store.api.Check`."""
        return self._check

    @property
    def placements(self) -> Placements:
        """A copy of where everything is, for when the index is lost."""
        return self._placements

    @property
    def indexer(self) -> Indexer:
        """Makes searches for text fast."""
        return self._indexer

    @property
    def figures(self) -> Figures:
        """How large it is and how it fares, for metrics."""
        return self._figures

    def spool(self) -> Spool:
        self._indexer.make_way()
        return Spool(self._spools.directory, self._spools)

    async def accept(
        self, spool: Spool, deliveries: Sequence[Delivery], relay: Relay | None = None, *, trace_id: str = ""
    ) -> None:
        parts, plan = await self._prepare(spool, deliveries, relay, trace_id, within_quota=True)
        try:
            await self._writer.do(plan)
        except Undecided:
            raise
        except Exception:
            for incoming, _ in parts:
                await self._intake.abandon(incoming)
            raise

    async def commit(self, plan: Callable[[Batch], None]) -> None:
        """Run any plan. Raises what it raises, StoreUnavailable."""
        await self._writer.do(plan)

    async def keep_still(self) -> None:
        """Sweep and compact no more: this store is opened to be read."""
        await self._sweeper.close()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._sweeper.close()
        await self._indexer.close()
        await self._placements.close()
        await self._views.close()
        if self._state.recent_claims:
            await self._writer.do(lambda batch: batch.then(lambda: None))
        await self._writer.close()
        self._workers.close()
        self._reader.close()
        self._log.close()
        for connection in (self._near, self._index):
            connection.close()
        self._place.release()

    async def _prepare_bounce(self, bounce: Bounce) -> PlanBounce:
        """A bounce is delivered even over quota: refused, the sender would never learn that the message failed."""
        return (await self._prepare(bounce.spool, bounce.deliveries, bounce.relay, "", within_quota=False))[1]

    async def _prepare(
        self, spool: Spool, deliveries: Sequence[Delivery], relay: Relay | None, trace_id: str, *, within_quota: bool
    ) -> tuple[list[Part], PlanBounce]:
        owners = self._state.owners
        known = [d for d in deliveries if d.account in owners]
        parts = [await self._prepare_part(spool, [d for d in known if d.version is None], relay)]
        for delivery in known:
            if delivery.version is not None:
                try:
                    parts.append(await self._prepare_part(delivery.version, [delivery], None))
                except StoreUnavailable:
                    for incoming, _ in parts:
                        await self._intake.abandon(incoming)
                    raise
        views: dict[Mailbox, MailboxView] = {}
        for delivery in known:
            mailbox = (
                owners[delivery.account].names.get(existing_name(delivery.mailbox)) if delivery.sent_copy else None
            )
            if mailbox is not None:
                views[mailbox] = await self._views.open(mailbox)

        def holds(batch: Batch, mailbox: Mailbox, message_id: str) -> bool:
            return mail.holds(self._near, batch, mailbox, message_id, views.get(mailbox))

        def plan(batch: Batch) -> None:
            acceptance.accept(batch, parts, relay, trace_id, holds, within_quota=within_quota)

        return parts, plan

    async def _prepare_part(self, spool: Spool, deliveries: Sequence[Delivery], relay: Relay | None) -> Part:
        """One version of a message, with the note that says where it goes. Raises StoreUnavailable."""
        owners, now = self._state.owners, int(self._state.clock())
        delivered = [Delivered(owners[d.account].account.address, d.mailbox, now, d.flags) for d in deliveries]
        note = notes.encode(delivered, "" if relay is None else relay.queue_id)
        return await self._intake.prepare(spool, note), deliveries


def _read(place: Place, clock: Callable[[], float]) -> tuple[State, SegmentLog, apsw.Connection]:
    index = schema.connect(place.directory, writer=True)
    try:
        there = segments.numbers(place.segments)
        if there:
            segments.check_version(place.segments, there[-1])
            if int(index.pragma("user_version")) == 0 and any(segments.scan(place.segments, there[0])):
                raise StoreError(
                    f"the index {schema.INDEX_FILE} is missing, but there is mail: restore a backup, or have "
                    "`pillarbox fsck --repair` make a new index of that mail"
                )
        schema.prepare(index, place.directory)
        known = State(clock)
        with schema.decoding(f"the index {schema.INDEX_FILE}"):
            state.load(index, known)
        # Always a new segment: what a crash left behind the last whole record is never written over.
        log = SegmentLog(place.segments, max([0, *there, index.execute("SELECT max(id) FROM segments").get or 0]) + 1)
        _look_at_leftovers(place, known, index, there)
    except BaseException:
        index.close()
        raise
    return known, log, index


def _look_at_leftovers(place: Place, known: State, index: apsw.Connection, there: list[int]) -> None:
    """What a crash may have left: records that no commit refers to. Their blob ids are not given again; a file without
    any whole record goes."""
    committed = {segment for (segment,) in schema.query(index, "SELECT id FROM segments")}
    for number in there:
        if number not in committed:
            records = list(segments.scan(place.segments, number))
            if not records:
                segments.path_of(place.segments, number).unlink()
        elif number == there[-1]:
            last = schema.query(index, "SELECT max(offset) FROM blobs WHERE segment = ?", (number,))[0][0]
            records = [] if last is None else list(segments.scan(place.segments, number, last))
        else:
            continue
        known.last_blob = max([known.last_blob, *(record.blob for record in records)])
