"""The durable queue: rows in the index, leases in memory. See `store.api.Queue` for what each method means."""

from collections.abc import Awaitable, Callable, Sequence

import apsw
import msgspec

from pillarbox.store.api import Bounce, NotFound, QueueEntry, QueueRecipient, RecipientState, Relay
from pillarbox.store.changes import QueueChanged
from pillarbox.store.embedded.batch import Batch, NextBatch
from pillarbox.store.embedded.reading import BlobReader
from pillarbox.store.embedded.schema import decoding, query
from pillarbox.store.embedded.writer import Writer

_json = msgspec.json.Encoder()
_parameters = msgspec.json.Decoder(dict[str, str])

_ENTRY = "SELECT id, reverse_path, account, created, size, parameters FROM queue "
_RECIPIENTS = (
    "SELECT id, address, state, attempts, next_attempt, last_reply, delay_notified, parameters "
    "FROM queue_recipients WHERE entry = ? ORDER BY id"
)
_OPEN = "EXISTS (SELECT 1 FROM queue_recipients WHERE entry = ?1 AND state IN ('queued', 'held'))"

PlanBounce = Callable[[Batch], None]


class EmbeddedQueue:
    """Implements `store.api.Queue`. `near` is a connection for the event loop; `prepare_bounce` makes a plan of a bounce."""

    def __init__(
        self,
        writer: Writer,
        near: apsw.Connection,
        blobs: BlobReader,
        prepare_bounce: Callable[[Bounce], Awaitable[PlanBounce]],
    ) -> None:
        self._writer = writer
        self._near = near
        self._blobs = blobs
        self._prepare_bounce = prepare_bounce
        self._leased: set[str] = set()

    async def due(self, now: float, limit: int) -> list[QueueEntry]:
        found: dict[str, None] = {}
        with decoding("the queue"):
            rows = self._near.execute(
                "SELECT entry FROM queue_recipients WHERE state = 'queued' AND next_attempt <= ? ORDER BY next_attempt",
                (now,),
            )
            for (entry,) in rows:
                if len(found) >= limit:
                    break
                if entry not in self._leased:
                    found[entry] = None
            rows.close()
        entries = [entry for key in found if (entry := await self.entry(key)) is not None]
        self._leased.update(entry.id for entry in entries)
        return entries

    async def next_due(self) -> float | None:
        with decoding("the queue"):
            rows = self._near.execute(
                "SELECT entry, next_attempt FROM queue_recipients WHERE state = 'queued' ORDER BY next_attempt"
            )
            for entry, when in rows:
                if entry not in self._leased:
                    rows.close()
                    return float(when)
        return None

    async def update(
        self,
        entry: str,
        recipients: Sequence[QueueRecipient],
        *,
        bounce: Bounce | None = None,
        keep_lease: bool = False,
    ) -> None:
        stage_bounce = None if bounce is None else await self._prepare_bounce(bounce)

        def plan(batch: Batch) -> None:
            self._claim(batch, entry)
            if stage_bounce is not None:
                stage_bounce(batch)
            for r in recipients:
                batch.execute(
                    # What was held while it was tried stays held, unless it is finished.
                    "UPDATE queue_recipients SET address = ?3, attempts = ?5, next_attempt = ?6, last_reply = ?7, "
                    "delay_notified = ?8, parameters = ?9, "
                    "state = CASE WHEN state = 'held' AND ?4 = 'queued' THEN 'held' ELSE ?4 END WHERE entry = ?1 AND id = ?2",
                    _recipient_row(entry, r),
                )
            _remove(batch, entry, f"NOT {_OPEN}")

        await self._writer.do(plan)
        if not keep_lease or not self._exists(entry):
            self._leased.discard(entry)

    async def entries(self) -> list[QueueEntry]:
        return [self._entry(row) for row in query(self._near, _ENTRY + "ORDER BY created, id")]

    async def entry(self, entry: str) -> QueueEntry | None:
        rows = query(self._near, _ENTRY + "WHERE id = ?", (entry,))
        return self._entry(rows[0]) if rows else None

    async def content(self, entry: str, start: int = 0, length: int | None = None) -> bytes | None:
        return await self._blobs.read("SELECT blob FROM queue WHERE id = ?", (entry,), start, length)

    async def retry(self, entry: str | None, now: float) -> int:
        def plan(batch: Batch) -> int:
            if entry is not None:
                if not self._exists(entry):
                    return 0
                self._touch(batch, entry)
            elif batch.version:
                raise NextBatch
            which, row = ("", ()) if entry is None else (" AND entry = ?", (entry,))
            [(count,)] = query(self._near, "SELECT count(*) FROM queue_recipients WHERE state = 'queued'" + which, row)
            batch.execute(
                "UPDATE queue_recipients SET next_attempt = ? WHERE state = 'queued'" + which,
                (now, *row),
            )
            batch.publish(QueueChanged())
            return int(count)

        return await self._writer.do(plan)

    async def hold(self, entry: str) -> None:
        def plan(batch: Batch) -> None:
            self._claim(batch, entry)
            batch.execute("UPDATE queue_recipients SET state = 'held' WHERE entry = ? AND state = 'queued'", (entry,))

        await self._writer.do(plan)

    async def release(self, entry: str, now: float) -> None:
        def plan(batch: Batch) -> None:
            self._claim(batch, entry)
            batch.execute(
                "UPDATE queue_recipients SET state = 'queued', next_attempt = ? WHERE entry = ? AND state = 'held'",
                (now, entry),
            )
            batch.publish(QueueChanged())

        await self._writer.do(plan)

    async def remove(self, entry: str) -> None:
        def plan(batch: Batch) -> None:
            self._claim(batch, entry)
            _remove(batch, entry, "TRUE")

        await self._writer.do(plan)
        self._leased.discard(entry)

    def _claim(self, batch: Batch, entry: str) -> None:
        """Only one operation of a batch touches an entry. Raises NotFound, NextBatch."""
        if entry in batch.queue_entries:
            raise NextBatch
        if not self._exists(entry):
            raise NotFound(f"the queue has no entry {entry}")
        batch.queue_entries.add(entry)

    def _touch(self, batch: Batch, entry: str) -> None:
        if entry in batch.queue_entries:
            raise NextBatch
        batch.queue_entries.add(entry)

    def _exists(self, entry: str) -> bool:
        return bool(query(self._near, "SELECT EXISTS (SELECT 1 FROM queue WHERE id = ?)", (entry,))[0][0])

    def _entry(self, row: tuple[str, str, int, float, int, str]) -> QueueEntry:
        key, reverse_path, account, created, size, parameters = row
        with decoding(f"the queue's entry {key}"):
            recipients = tuple(
                QueueRecipient(
                    number, address, RecipientState(state), attempts, float(next_attempt), last_reply, bool(notified),
                    _parameters.decode(given),
                )
                for number, address, state, attempts, next_attempt, last_reply, notified, given in query(
                    self._near, _RECIPIENTS, (key,)
                )
            )  # fmt: skip
            return QueueEntry(key, reverse_path, account, created, size, recipients, _parameters.decode(parameters))


def stage_relay(batch: Batch, relay: Relay, blob: int, size: int) -> None:
    """Stage a new entry."""
    now = batch.state.clock()
    batch.execute(
        "INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?)",
        (relay.queue_id, blob, relay.reverse_path, relay.account, now, size, _text(relay.parameters)),
    )
    for number, (address, parameters) in enumerate(relay.recipients, 1):
        recipient = QueueRecipient(number, address, next_attempt=now, parameters=parameters)
        batch.execute(
            "INSERT INTO queue_recipients VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            _recipient_row(relay.queue_id, recipient),
        )
    batch.queue_entries.add(relay.queue_id)
    batch.publish(QueueChanged())


def _remove(batch: Batch, entry: str, condition: str) -> None:
    batch.execute(f"INSERT OR IGNORE INTO released SELECT blob FROM queue WHERE id = ?1 AND {condition}", (entry,))
    batch.execute(f"DELETE FROM queue WHERE id = ?1 AND {condition}", (entry,))
    batch.execute(
        "DELETE FROM queue_recipients WHERE entry = ?1 AND NOT EXISTS (SELECT 1 FROM queue WHERE id = ?1)", (entry,)
    )
    batch.sweep = True


def _recipient_row(entry: str, r: QueueRecipient) -> tuple[object, ...]:
    return (
        entry, r.id, r.address, r.state.value, r.attempts, r.next_attempt, _storable(r.last_reply), int(r.delay_notified),
        _text(r.parameters),
    )  # fmt: skip


def _text(parameters: dict[str, str]) -> str:
    return _json.encode(parameters).decode()


def _storable(text: str) -> str:
    """What other servers say may hold anything, also octets that are no characters."""
    return text.encode("utf-8", "backslashreplace").decode()
