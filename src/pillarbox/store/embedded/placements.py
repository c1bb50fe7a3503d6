"""Placements: a copy of the index without summaries, written now and then beside it. Where every message is, with its UID,
flags and permanent ids; accounts, mailboxes, subscriptions, aliases; all as of one commit. With it, and the segments,
`fsck --repair` makes a lost index again as it was then.

Nothing waits for it: a thread reads one snapshot of the index, writes a file of its own, and puts it into place
when it is durable. It takes a constant share of a processor at most, however much mail there is.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from pillarbox.store.api import StoreError
from pillarbox.store.embedded import schema
from pillarbox.store.embedded.place import sync_folder
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.writer import Observer

PLACEMENTS_FILE = "placements.sqlite"
_NEW = PLACEMENTS_FILE + ".new"

EVERY = 600.0
"""Seconds between two copies at least, when there is something new."""

SHARE = 200
"""So many times as long as the last one took, at least."""

AT_THE_END = 20.0
"""Seconds that the copy at an orderly end may take; a hundred thousand messages need a quarter of one."""

_TABLES = (
    "counters", "domains", "accounts", "aliases", "mailboxes", "subscriptions", "messages", "states", "changes", "expunges",
    "deleted_mailboxes", "queue", "queue_recipients",
)  # fmt: skip
_TIME = "placements"  # the counter that says when, epoch seconds


class Placements:
    """Writes the copy as one task until `close`. `near` is a connection to the index for the event loop."""

    def __init__(self, directory: Path, near: apsw.Connection, clock: Callable[[], float], observer: Observer) -> None:
        self._directory = directory
        self._near = near
        self._clock = clock
        self._observer = observer
        self._thread = ThreadPoolExecutor(1, "pillarbox-placements")
        self._writing: apsw.Connection | None = None
        self._closing = False
        self._seen = -1  # the index's version that the last copy is of
        self._task = asyncio.create_task(self._run(), name="pillarbox-placements")

    async def write(self) -> None:
        """Write it now. Raises apsw.Error, OSError; then the last one is where it was."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write)

    async def finish(self) -> None:
        """Before `close` at an orderly end: a copy of what is the last, if anything was committed since. Takes AT_THE_END
        seconds at most; then, and where the disk is in trouble, the copy is the one before."""
        if self._closing:
            return
        try:
            async with asyncio.timeout(AT_THE_END):
                await self._write_if_new()
        except (apsw.Error, OSError) as error:  # a TimeoutError is one
            self._observer("placements_failed", reason=str(error) or "it takes too long for the end")

    async def close(self) -> None:
        """Stop; a copy that is half done is dropped."""
        self._closing = True
        if self._writing is not None:
            self._writing.interrupt()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()

    async def _run(self) -> None:
        wait = EVERY
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(wait)
            start = clock()
            try:
                await self._write_if_new()
            except (apsw.Error, OSError) as error:
                self._observer("placements_failed", reason=str(error))
            wait = max(EVERY, SHARE * (clock() - start))

    async def _write_if_new(self) -> None:
        version = int(self._near.pragma("data_version"))  # grows with the commits of others
        if version != self._seen:
            await self.write()
            self._seen = version

    def _write(self) -> None:
        new = self._directory / _NEW
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            connection = self._writing = apsw.Connection(str(new))
            try:
                if self._closing:
                    raise apsw.InterruptError("the store is closed")
                _copy(connection, self._directory / INDEX_FILE, int(self._clock()))
            finally:
                self._writing = None
                connection.close()
            os.fsync(file)
            new.rename(self._directory / PLACEMENTS_FILE)
            sync_folder(self._directory)
        finally:
            os.close(file)
            new.unlink(missing_ok=True)


def _copy(connection: apsw.Connection, index: Path, now: int) -> None:
    connection.set_busy_timeout(5000)
    for setting in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")  # a copy that fails is thrown away
    connection.execute("ATTACH ? AS mail", (str(index),))
    connection.execute("BEGIN")
    for step in schema.STEPS:
        connection.execute(step)
    for table in _TABLES:
        connection.execute(f"INSERT INTO main.{table} SELECT * FROM mail.{table}")
    connection.execute("INSERT INTO main.blobs SELECT id, segment, offset, size, crc, x'' FROM mail.blobs")
    connection.execute("INSERT OR REPLACE INTO main.counters VALUES (?, ?)", (_TIME, now))
    connection.pragma("user_version", schema.VERSION, schema="main")
    connection.execute("COMMIT")


@dataclass(slots=True)
class Base:
    """What a new index begins with: when it was so, size and checksum of each blob that it knows, the greatest of them, and
    those that were only queued then."""

    time: int
    blobs: dict[int, tuple[int, int]]
    last: int
    queued: set[int]

    def knows_gone(self, blob: int) -> bool:
        """Whether this blob was known once and removed before the copy was written."""
        return blob <= self.last and blob not in self.blobs and blob not in self.queued


def lay(directory: Path, scratch: Path) -> Base | None:
    """Put the copy into a scratch folder as the index of a new store, without its queue; None when there is none, or it is
    not sound. Raises OSError."""
    target = scratch / INDEX_FILE
    try:
        shutil.copyfile(directory / PLACEMENTS_FILE, target)
    except FileNotFoundError:
        return None
    with suppress(apsw.Error, StoreError, *schema.UNDECODABLE):
        index = schema.connect(scratch, writer=True)
        try:
            if index.pragma("user_version") and index.pragma("integrity_check") == "ok":
                schema.prepare(index, scratch)
                return _base(index)
        finally:
            index.close()
    for ending in ("", "-wal", "-shm"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    return None


def _base(index: apsw.Connection) -> Base:
    with index:
        only = "SELECT blob FROM queue WHERE blob NOT IN (SELECT blob FROM messages)"
        queued = {blob for (blob,) in index.execute(only)}
        index.execute(f"DELETE FROM blobs WHERE id IN ({only})")
        index.execute("DELETE FROM queue")
        index.execute("DELETE FROM queue_recipients")
        time = index.execute("SELECT value FROM counters WHERE name = ?", (_TIME,)).get
        index.execute("DELETE FROM counters WHERE name = ?", (_TIME,))
    blobs = {blob: (size, crc) for blob, size, crc in index.execute("SELECT id, size, crc FROM blobs")}
    return Base(int(time or 0), blobs, max([0, *blobs, *queued]), queued)


def renumber(index: apsw.Connection, least: int) -> None:
    """Give every mailbox another UIDVALIDITY, from `least` on: UIDs that were given since are not known."""
    with index:
        ids = [mailbox for (mailbox,) in index.execute("SELECT id FROM mailboxes ORDER BY id")]
        index.executemany(
            "UPDATE mailboxes SET uidvalidity = ? WHERE id = ?", ((least + n, m) for n, m in enumerate(ids))
        )
        index.execute("INSERT OR REPLACE INTO counters VALUES ('uidvalidity', ?)", (least + len(ids),))
