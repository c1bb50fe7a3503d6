"""Fills the full-text index behind deliveries, in small steps while no mail arrives, and asks it for searches.

Invariant: an index that is behind, damaged or gone makes searches slower, never wrong. A damaged one is dropped and made anew.
A step never holds up the event loop: the index's own work is done in a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from pillarbox.store.api import Held, Progress, StoreError, StoreUnavailable
from pillarbox.store.embedded import index_check, text_index
from pillarbox.store.embedded.blob_texts import REST, BlobTexts, Read, Row
from pillarbox.store.embedded.reading import BlobReader
from pillarbox.store.embedded.rest import Rest
from pillarbox.store.embedded.schema import query
from pillarbox.store.embedded.state import State
from pillarbox.store.embedded.writer import Observer
from pillarbox.store.upkeep import Indexed

P = ParamSpec("P")
T = TypeVar("T")

STEP = 800
"""Messages that one transaction of the index takes, or fewer with many words (`blob_texts.STEP_OCTETS`): the more, the less
each costs, as SQLite writes a trigram once for all of them."""

SMALL_STEP = 20
"""The same while mail arrives without a pause."""

_TICK = 0.5  # seconds without a new message after which indexing goes on
_PAUSE = 20 * _TICK
_PATIENCE = 120  # ticks: so long deliveries without a pause keep it waiting, then it does a small step each tick
_RETRY = 60.0  # seconds after trouble of the disk; twice as long each time, up to
_RETRY_LIMIT = 3600.0
_SAMPLE = 20  # messages that a check compares with the index

_BLOBS = "SELECT id, EXISTS (SELECT 1 FROM messages WHERE blob = blobs.id), segment, offset, size FROM blobs WHERE "


class Indexer:
    """Implements `store.upkeep.SearchIndex`; runs as one task until `close`. `near` is a connection to the main index for the
    event loop."""

    def __init__(
        self, directory: Path, state: State, near: apsw.Connection, blobs: BlobReader, observer: Observer
    ) -> None:
        self._directory = directory
        self._state = state
        self._near = near
        self._texts = BlobTexts(blobs, observer)
        self._observer = observer
        self._last_known = state.last_blob  # when the store was opened: entries above are not its own
        self._writing = ThreadPoolExecutor(1, "pillarbox-index")
        self._reading = ThreadPoolExecutor(1, "pillarbox-search")
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._lock = asyncio.Lock()  # one step at a time
        self._waiting = 0  # who want it now
        self._resting = Rest()
        self._mark = 0
        self._listed = True  # there may be something in the list `again`
        self._damage = ""
        self._patience = _PATIENCE
        self._arriving = 0  # messages that began to arrive
        self._hurry = 0  # who waits for it
        self._dead: list[int] = []
        self._task = asyncio.create_task(self._run(), name="pillarbox-indexer")

    # What others ask of it

    async def naming(self, mailbox: int, needle: str) -> list[int] | None:
        """See `Mail.may_hold`."""
        terms = text_index.terms(needle)
        return None if terms is None else await self._try(text_index.naming, mailbox, terms)

    async def holding(self, mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
        """See `Mail.holding`."""
        if not text_index.is_within_a_word(needle):
            return Held([], uids)
        return await self._try(text_index.holding, mailbox, uids, needle, header=header) or Held([], uids)

    async def _try(
        self, question: Callable[Concatenate[apsw.Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T | None:
        """As `_ask`; None when there is no answer."""
        if self._reader is None:
            return None
        try:
            return await self._ask(question, *arguments, **named)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self._damage = str(error)
        except (apsw.Error, StoreError) as error:
            self._observer("search_index_failed", reason=str(error))
        return None

    def make_way(self) -> None:
        """A message begins to arrive."""
        self._arriving += 1

    def forget(self, blobs: list[int]) -> None:
        """These blobs may be gone: look, and take them out."""
        self._dead += blobs

    @property
    def behind(self) -> int:
        """Blobs that were stored behind the last one that the index has seen."""
        return max(0, self._state.last_blob - self._mark)

    async def status(self) -> list[Indexed]:
        try:
            if self._reader is None:
                async with self._soon():
                    await self._open()
            counts = await self._ask(text_index.counts)
        except (apsw.Error, OSError) as error:
            raise StoreUnavailable(f"the full-text index cannot be read now ({error})") from error
        found = []
        for number, owner in self._state.owners.items():
            here = [counts[mailbox] for mailbox in owner.mailboxes if mailbox in counts]
            waiting = min(owner.messages, sum(waiting for waiting, _ in here))  # what is expunged stays a while
            apart = min(owner.messages - waiting, sum(apart for _, apart in here))
            found.append(Indexed(number, owner.messages, waiting, apart))
        return found

    async def octets(self) -> int:
        return await asyncio.to_thread(text_index.octets, self._directory)

    async def problem(self) -> str:
        """What is wrong with the index, read wholly and compared with some messages; "" when nothing is."""
        try:
            async with self._soon():
                await self._open()
                return await self._write(index_check.problem) or await self._sample()
        except (apsw.Error, OSError) as error:
            raise StoreUnavailable(f"the full-text index cannot be read now ({error})") from error

    async def rebuild(self, account: int | None = None) -> None:
        mailboxes = None if account is None else list(self._state.owner(account).mailboxes)
        try:
            async with self._soon():
                if mailboxes is None:
                    await self._drop()
                await self._open()
                if mailboxes is not None:
                    await self._write(text_index.redo, await self._ask(text_index.blobs_of, mailboxes))
                    self._listed = True
        except (apsw.Error, OSError) as error:
            raise StoreUnavailable(f"the full-text index cannot be made anew now ({error})") from error

    async def catch_up(self, progress: Progress | None = None) -> None:
        try:
            async with self._soon():
                await self._open()
                total = await self._left() if progress else 0
            done = 0
            self._hurry += 1
            try:
                while some := await self._step():
                    done += some
                    if progress:
                        progress(min(done, total), total)
            finally:
                self._hurry -= 1
            async with self._lock:
                await self._bury()
        except (apsw.Error, OSError) as error:
            if isinstance(error, text_index.DAMAGE):
                self._damage = str(error)
            raise StoreUnavailable(f"the full-text index cannot be filled now ({error})") from error

    async def close(self) -> None:
        """Stop; what is half done goes on at the next start."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writing.shutdown()
        self._reading.shutdown()
        self._close_connections()

    # The task

    async def _run(self) -> None:
        retry, once_more = _RETRY, 0.0
        while True:
            try:
                async with self._lock:
                    await self._open()
                while True:
                    await self._fill()
                    retry = _RETRY
            except text_index.DAMAGE as error:
                self._damage = str(error)
                await asyncio.sleep(once_more)
                once_more = min(2 * once_more + _RETRY, _RETRY_LIMIT)
            except (apsw.Error, OSError, StoreError) as error:
                self._observer("search_index_failed", reason=str(error))
                await asyncio.sleep(retry)
                retry = min(2 * retry, _RETRY_LIMIT)

    async def _fill(self) -> None:
        """Wait until there is something to do, and do it until other work comes."""
        arrived = await self._quiet()
        last_blob = self._state.last_blob
        while True:
            if not await self._step():
                if self._mark < last_blob:  # ids that were given, but not committed (yet)
                    await asyncio.sleep(_PAUSE)
                break
            if self._arrived() != arrived:
                break
        async with self._lock:
            await self._bury()

    async def _quiet(self) -> int:
        """Wait until there is something to do and nothing else arrives; what has arrived until then."""
        last = -1
        while True:
            now = self._arrived()
            if not (self._state.last_blob > self._mark or self._dead or self._listed or self._damage):
                self._patience = _PATIENCE
            elif now == last or (self._patience <= 0 and last >= 0):
                if now == last:
                    self._patience = _PATIENCE
                return now
            else:
                self._patience -= 1
            last = now
            await asyncio.sleep(_TICK)

    def _arrived(self) -> int:
        """Grows with every message that begins to arrive, or is stored."""
        return self._arriving + self._state.last_blob

    async def _open(self) -> None:
        if self._damage:
            self._observer("search_index_damaged", reason=self._damage)
            await self._drop()
        if self._reader is not None:
            return
        try:
            await self._connect()
        except text_index.DAMAGE as error:
            self._observer("search_index_damaged", reason=str(error))
            await self._drop()
            await self._connect()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._writing, text_index.prepare, self._directory, self._last_known)
        self._writer = await asyncio.shield(opening)
        self._mark = text_index.mark(self._writer)
        self._reader = text_index.connect(self._directory, writer=False)
        self._listed = True

    async def _drop(self) -> None:
        """Remove the index; from here on everything counts as not indexed."""
        loop = asyncio.get_running_loop()
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for threads, connection in ((self._reading, reader), (self._writing, writer)):
            if connection is not None:
                await loop.run_in_executor(threads, connection.close)
        await loop.run_in_executor(self._writing, text_index.drop, self._directory)
        self._mark, self._damage = 0, ""

    def _close_connections(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    # Steps

    async def _step(self) -> int:
        """The next blobs; how many there were."""
        async with self._lock:
            await self._open()
            return await self._go_on() or await self._go_back()

    async def _go_on(self) -> int:
        """Blobs above the mark."""
        rows: list[Row] = query(self._near, f"{_BLOBS} id > ? ORDER BY id LIMIT ?", (self._mark, self._size))
        if not rows:
            return 0
        # Of the ids that are passed over, only large messages' may still come: all others are committed in their order, and
        # what is not there has gone again. Asked before anything is waited for: then one of them may be committed.
        coming = sorted(self._state.coming.difference(row[0] for row in rows))
        read = await self._read(rows)
        missing = [blob for blob in coming if self._mark < blob < read.last]
        await self._put(text_index.add, read.texts, read.unread, missing, read.last)
        self._mark = read.last
        self._listed = self._listed or bool(missing)
        return read.number

    async def _go_back(self) -> int:
        """Blobs of the list `again`."""
        after = 0
        while self._listed:
            blobs = await self._write(text_index.listed, after, self._size)
            marks = ",".join("?" * len(blobs))
            rows: list[Row] = query(self._near, f"{_BLOBS} id IN ({marks}) ORDER BY id", blobs)
            gone = sorted(set(blobs).difference(self._state.coming, (row[0] for row in rows)))
            if rows or gone:
                read = await self._read(rows)
                await self._put(text_index.replace, read.texts, read.unread, gone)
                return read.number + len(gone)
            after = blobs[-1] if blobs else 0
            self._listed = bool(blobs)  # else all that is left is still on its way
        return 0

    @property
    def _size(self) -> int:
        return STEP if self._patience > 0 or self._hurry else SMALL_STEP

    async def _read(self, rows: list[Row]) -> Read:
        """The texts of the first of these blobs, fewer when a message arrives."""
        arrived = self._arrived()
        patient = self._patience > 0 and not self._hurry
        return await self._texts.read(
            rows, rest=self._rest, stop=lambda: bool(self._waiting) or (patient and self._arrived() != arrived)
        )

    async def _rest(self, took: float) -> None:
        """After work that took so many seconds, which on a busy machine may be long; not while somebody waits."""
        if not self._waiting:
            await self._resting.take(0 if self._hurry else REST * took)

    @asynccontextmanager
    async def _soon(self) -> AsyncIterator[None]:
        """The lock, for somebody who waits: a step that is under way ends with the message that it is at."""
        self._hurry += 1
        try:
            self._waiting += 1
            self._resting.end()
            try:
                await self._lock.acquire()
            finally:
                self._waiting -= 1
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._hurry -= 1

    async def _sample(self) -> str:
        """Whether the index has all messages, and knows what some of them say."""
        rows: list[Row] = query(self._near, f"{_BLOBS} id <= ? ORDER BY random() LIMIT ?", (self._mark, _SAMPLE))
        return await self._ask(index_check.difference, (await self._read(rows)).texts)

    async def _bury(self) -> None:
        """Take out what is gone."""
        dead, self._dead = self._dead, []
        for i in range(0, len(dead), STEP):
            some = dead[i : i + STEP]
            marks = ",".join("?" * len(some))
            there = {blob for (blob,) in query(self._near, f"SELECT id FROM blobs WHERE id IN ({marks})", some)}
            await self._write(text_index.remove, [blob for blob in some if blob not in there and blob <= self._mark])

    async def _left(self) -> int:
        """How many blobs are to be put into the index."""
        [(above,)] = query(self._near, "SELECT count(*) FROM blobs WHERE id > ?", (self._mark,))
        return int(above) + await self._write(text_index.list_length)

    async def _put(
        self, step: Callable[Concatenate[apsw.Connection, P], None], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """Write, and rest."""
        clock = asyncio.get_running_loop().time
        start = clock()
        await self._write(step, *arguments, **named)
        await self._rest(clock() - start)

    async def _write(
        self, step: Callable[Concatenate[apsw.Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """A step in the index's thread. Cancelled, it is still waited for by `close`."""
        writer = self._writer
        assert writer is not None
        return await asyncio.get_running_loop().run_in_executor(
            self._writing, lambda: step(writer, *arguments, **named)
        )

    async def _ask(
        self, question: Callable[Concatenate[apsw.Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """A question in the searches' thread. Raises apsw.Error, StoreUnavailable."""

        def ask() -> T:
            reader = self._reader  # asked here: `_drop` closes it in this thread
            if reader is None:
                raise StoreUnavailable("the full-text index is just being made anew")
            return question(reader, *arguments, **named)

        return await asyncio.get_running_loop().run_in_executor(self._reading, ask)
