"""Sweeper: takes away, in small steps behind everyone's back, what nothing refers to any more.

First rows of expunged messages and deleted mailboxes, then blobs without a reference; `compaction` does the rest. Each
step is an operation like any other, so a crash at any point loses nothing. A blob is dead when neither a message's row nor a
queue entry refers to it.
"""

import asyncio
from collections.abc import Callable

import apsw

from pillarbox.store.api import StoreError
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.changelog import decode_uids
from pillarbox.store.embedded.compaction import Compaction
from pillarbox.store.embedded.schema import UNDECODABLE, json_list, query
from pillarbox.store.embedded.segments import RECORD_HEADER
from pillarbox.store.embedded.writer import Observer, Writer

_ROWS = 500  # to a step: some milliseconds of the writer's time
_TOMBSTONES = 50
_PAUSE = 1.0  # seconds: what goes at about the same time is swept together, and whoever made it go is answered first

_DEAD = (
    "id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM messages WHERE blob = blobs.id) "
    "AND NOT EXISTS (SELECT 1 FROM queue WHERE blob = blobs.id)"
)
_DEAD_OCTETS = f"SELECT segment, sum(size + {RECORD_HEADER}) AS octets FROM blobs WHERE {_DEAD} GROUP BY segment"

Statement = tuple[str, tuple[object, ...]]


class Sweeper:
    """Runs as one task until `close`. `near` is a connection for the event loop."""

    def __init__(self, writer: Writer, compaction: Compaction, near: apsw.Connection, observer: Observer) -> None:
        self._writer = writer
        self._compaction = compaction
        self._near = near
        self._observer = observer
        self._lock = asyncio.Lock()
        self._garbage = asyncio.Event()
        self._garbage.set()  # the last run may have left some
        self.on_swept: Callable[[list[int]], None] = lambda _blobs: None  # told which blobs may be gone
        self._task = asyncio.create_task(self._run(), name="pillarbox-sweeper")

    def wake(self) -> None:
        """There is something to do."""
        self._garbage.set()

    async def close(self) -> None:
        """Stop; what is half done goes on at the next start."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> None:
        """Take away everything that can go. Raises StoreError, OSError."""
        async with self._lock:
            while await self._sweep_messages() or await self._sweep_mailboxes() or await self._sweep_blobs():
                pass
            await self._compaction.run()

    async def _run(self) -> None:
        while True:
            await self._garbage.wait()
            await asyncio.sleep(_PAUSE)
            self._garbage.clear()
            try:
                await self.sweep()
            except (StoreError, OSError, apsw.Error) as error:  # the disk's trouble: the next garbage wakes us again
                self._observer("sweep_failed", reason=str(error))

    async def _sweep_messages(self) -> bool:
        found = query(self._near, "SELECT mailbox, modseq, uids FROM expunges WHERE swept = 0 LIMIT ?", (_TOMBSTONES,))
        statements: list[Statement] = []
        rows = 0
        for mailbox, modseq, octets in found:
            try:
                uids = decode_uids(octets)
            except UNDECODABLE as error:  # fsck's matter: what it names must not be guessed
                self._observer("tombstone_damaged", mailbox=mailbox, modseq=modseq, reason=str(error))
                uids = []
            for i in range(0, len(uids), _ROWS):
                some = uids[i : i + _ROWS]
                statements += _forget_messages("uid IN (SELECT value FROM json_each(?2))", mailbox, json_list(some))
                rows += len(some)
                if rows >= _ROWS:
                    await self._execute(*statements)
                    statements, rows = [], 0
            statements.append(("UPDATE expunges SET swept = 1 WHERE mailbox = ? AND modseq = ?", (mailbox, modseq)))
        if statements:
            await self._execute(*statements)
        return bool(found)

    async def _sweep_mailboxes(self) -> bool:
        found = query(self._near, "SELECT mailbox FROM deleted_mailboxes LIMIT 1")
        for (mailbox,) in found:
            some = "SELECT uid FROM messages WHERE mailbox = ? ORDER BY uid LIMIT ?"
            last = query(self._near, f"SELECT max(uid) FROM ({some})", (mailbox, _ROWS))[0][0]
            if last is None:
                await self._execute(("DELETE FROM deleted_mailboxes WHERE mailbox = ?", (mailbox,)))
            else:
                await self._execute(*_forget_messages("uid <= ?2", mailbox, last))
        return bool(found)

    async def _sweep_blobs(self) -> bool:
        found = [blob for (blob,) in query(self._near, "SELECT blob FROM released LIMIT ?", (_ROWS,))]
        if found:
            ids = (json_list(found),)
            losing = query(
                self._near, "SELECT DISTINCT segment FROM blobs WHERE id IN (SELECT value FROM json_each(?))", ids
            )
            self._compaction.suspect(segment for (segment,) in losing)
            await self._execute(
                (f"UPDATE segments SET live = live - d.octets FROM ({_DEAD_OCTETS}) AS d WHERE id = d.segment", ids),
                (f"DELETE FROM blobs WHERE {_DEAD}", ids),
                ("DELETE FROM released WHERE blob IN (SELECT value FROM json_each(?1))", ids),
            )
            self.on_swept(found)
        return bool(found)

    async def _execute(self, *statements: Statement) -> None:
        def plan(batch: Batch) -> None:
            for sql, row in statements:
                batch.execute(sql, row)

        await self._writer.do(plan)


def _forget_messages(which: str, mailbox: int, value: object) -> tuple[Statement, Statement]:
    row = (mailbox, value)
    return (
        (f"INSERT OR IGNORE INTO released SELECT blob FROM messages WHERE mailbox = ?1 AND {which}", row),
        (f"DELETE FROM messages WHERE mailbox = ?1 AND {which}", row),
    )
