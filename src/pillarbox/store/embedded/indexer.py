"""Fills the full-text index behind deliveries, in small steps while no mail arrives, and asks it for searches.

Invariant: an index that is behind, damaged or gone makes searches slower, never wrong. A step never holds up the event loop:
short messages are decoded on it one at a time, long ones and the index's own work in a thread.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec

import apsw

from pillarbox.mail.full_text import full_text
from pillarbox.store.api import StoreError
from pillarbox.store.embedded import text_index
from pillarbox.store.embedded.reading import BlobReader
from pillarbox.store.embedded.schema import query
from pillarbox.store.embedded.state import State
from pillarbox.store.embedded.text_index import Text
from pillarbox.store.embedded.writer import Observer

P = ParamSpec("P")

STEP = 50
"""Messages that one transaction of the index takes: some 20 ms of a thread."""

STEP_OCTETS = 4 * 1024 * 1024
"""Octets of a step's messages, but for the last one's."""

MAX_MESSAGE = 8 * 1024 * 1024
"""Longer messages are not taken apart here, but read when they are searched."""

_TICK = 0.5  # seconds without a new message after which indexing goes on
_PAUSE = 20 * _TICK
_PATIENCE = 120  # ticks: so long deliveries without a pause keep it waiting, then it does a step at a time
_AT_ONCE = 64 * 1024  # octets that are decoded within a millisecond


class Indexer:
    """Runs as one task until `close`. `near` is a connection to the main index for the event loop."""

    def __init__(
        self, directory: Path, state: State, near: apsw.Connection, blobs: BlobReader, observer: Observer
    ) -> None:
        self._directory = directory
        self._state = state
        self._near = near
        self._blobs = blobs
        self._observer = observer
        self._first_new = state.last_blob + 1  # ids from here on may be given and not committed yet
        self._writing = ThreadPoolExecutor(1, "pillarbox-index")
        self._reading = ThreadPoolExecutor(1, "pillarbox-search")
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._mark = 0
        self._patience = _PATIENCE
        self._dead: list[int] = []
        self._task = asyncio.create_task(self._run(), name="pillarbox-indexer")

    async def holding(self, mailbox: int, needle: str) -> list[int] | None:
        """UIDs of a mailbox, ascending, of all messages whose text holds the folded needle, and maybe of others. None: it
        is not known."""
        terms = text_index.terms(needle)
        if terms is None or self._reader is None:
            return None
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reading, text_index.holding, self._reader, mailbox, terms)
        except apsw.Error as error:
            self._observer("search_index_failed", reason=str(error))
            return None

    def forget(self, blobs: list[int]) -> None:
        """These blobs may be gone: look, and take them out."""
        self._dead += blobs

    async def catch_up(self) -> None:
        """Index everything that there is now. Raises apsw.Error, OSError, StoreError."""
        await self._open()
        while await self._step():
            pass
        await self._bury()

    async def close(self) -> None:
        """Stop; what is half done goes on at the next start."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writing.shutdown()
        self._reading.shutdown()
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    async def _run(self) -> None:
        try:
            await self._open()
            while True:
                arrived = await self._quiet()
                clock = asyncio.get_running_loop().time
                while True:
                    start = clock()
                    if not await self._step():
                        if self._mark < arrived:  # ids that were given, but not committed (yet)
                            await asyncio.sleep(_PAUSE)
                        break
                    if self._state.last_blob != arrived:
                        break
                    await asyncio.sleep(clock() - start)  # half of the time is others'
                await self._bury()
        except (apsw.Error, OSError, StoreError) as error:  # until the next start
            self._observer("search_index_failed", reason=str(error))

    async def _open(self) -> None:
        if self._writer is None:
            loop = asyncio.get_running_loop()
            opening = loop.run_in_executor(self._writing, text_index.prepare, self._directory, self._first_new - 1)
            self._writer = await asyncio.shield(opening)
            self._mark = text_index.mark(self._writer)
            self._reader = text_index.connect(self._directory, writer=False)

    async def _quiet(self) -> int:
        """Wait until there is something to do and nothing else arrives; the id of the last blob then."""
        last = -1
        while True:
            now = self._state.last_blob
            if not (now > self._mark or self._dead):
                self._patience = _PATIENCE
            elif now == last or (self._patience <= 0 and last >= 0):
                if now == last:
                    self._patience = _PATIENCE
                return now
            else:
                self._patience -= 1
            last = now
            await asyncio.sleep(_TICK)

    async def _step(self) -> bool:
        """The next blobs; whether there were any."""
        rows = query(
            self._near,
            "SELECT id, segment, offset, size, EXISTS (SELECT 1 FROM messages WHERE blob = blobs.id) FROM blobs "
            "WHERE id > ? ORDER BY id LIMIT ?",
            (self._mark, STEP),
        )
        texts: list[Text] = []
        unread: list[int] = []
        mark, octets = self._mark, 0
        for blob, *_, size, has_message in rows:
            # An id that was passed over may still be on its way: large messages get theirs long before their commit.
            unread += range(max(mark + 1, self._first_new), blob)
            mark = blob
            text = await self._text(blob, size) if has_message and size <= MAX_MESSAGE else None
            if text is None:
                unread.append(blob)
            else:
                texts.append(text)
            octets += size
            if octets > STEP_OCTETS:
                break
        if rows:
            await self._write(text_index.add, texts, unread, mark)
            self._mark = mark
        return bool(rows)

    async def _text(self, blob: int, size: int) -> Text | None:
        try:
            octets = await self._blobs.read("?", (blob,), 0, None)
        except StoreError:  # fsck's business, or a search's
            return None
        if octets is None:
            return None
        try:
            if size <= _AT_ONCE:
                await asyncio.sleep(0)
                return (blob, *full_text(octets))
            return (blob, *await asyncio.get_running_loop().run_in_executor(self._writing, full_text, octets))
        except Exception as error:  # a fault of ours must not stop the index: the message is read instead
            self._observer("index_text_failed", reason=f"{type(error).__name__}: {error}", blob=blob)
            return None

    async def _bury(self) -> None:
        """Take out what is gone."""
        dead, self._dead = self._dead, []
        for i in range(0, len(dead), STEP):
            some = dead[i : i + STEP]
            marks = ",".join("?" * len(some))
            there = {blob for (blob,) in query(self._near, f"SELECT id FROM blobs WHERE id IN ({marks})", some)}
            await self._write(text_index.remove, [blob for blob in some if blob not in there and blob <= self._mark])

    async def _write(
        self, step: Callable[Concatenate[apsw.Connection, P], None], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """A step in the index's thread. Cancelled, it is still waited for by `close`."""
        writer = self._writer
        assert writer is not None
        await asyncio.get_running_loop().run_in_executor(self._writing, lambda: step(writer, *arguments, **named))
