"""Views of mailboxes: read from the index when first wanted, packed back into it when the change log has grown.

Invariant: a view equals the packed state, plus the messages since, plus the change log since.
Memory: views that someone holds, and the recently used ones up to a bound.
"""

import asyncio
import struct
import weakref
import zlib
from array import array
from collections import OrderedDict
from functools import partial

import apsw

from pillarbox.store.api import StoreError
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.changelog import decode_flags, decode_runs, decode_uids, encode_flags, little_endian
from pillarbox.store.embedded.schema import UNDECODABLE, decoding, query
from pillarbox.store.embedded.state import Mailbox
from pillarbox.store.embedded.steps import Added, Expunged, Flagged, bring_up_to_date, set_runs
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Writer
from pillarbox.store.view import MailboxView

KEPT_VIEWS = 2048
KEPT_MESSAGES = 2_000_000
"""Views that are kept although nobody holds them: at 28 octets a message at most some 60 MB."""

_SMALL = 500  # a mailbox of so few messages is read at once; the way to a thread and back costs more
_SHARE = 8  # the log may be as long as such a part of the mailbox: packing then costs each change a constant share
_SLICE = (
    5_000  # rows or messages that one step in C takes, a fraction of a millisecond: the event loop waits for its end
)
_CHECKSUM = struct.Struct("<I")
_ARRAYS = ("uids", "flags", "modseqs", "sizes", "internaldates")


class Views:
    """Finds, reads and keeps views. `near` is a connection for the event loop."""

    def __init__(self, writer: Writer, near: apsw.Connection, workers: Workers) -> None:
        self._writer = writer
        self._near = near
        self._workers = workers
        self._kept: OrderedDict[Mailbox, MailboxView] = OrderedDict()
        self._messages = 0
        self._reading: dict[Mailbox, asyncio.Task[MailboxView]] = {}
        self._packing: set[Mailbox] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        writer.on_grown = self.grown

    async def open(self, mailbox: Mailbox) -> MailboxView:
        """The view of a mailbox, the same object for all who hold it."""
        view = mailbox.loaded()
        if view is None:
            if mailbox.loading is None and mailbox.messages <= _SMALL and mailbox.unsaved <= _SMALL:
                view, mailbox.unsaved = read(self._near, mailbox)
                _attach(mailbox, view)
            else:
                view = await asyncio.shield(self._read_far(mailbox))
        self._keep(mailbox, view)
        self.grown(mailbox)
        return view

    async def close(self) -> None:
        """Wait for what is under way; nothing is packed any more."""
        self._closed = True
        while self._tasks or self._reading:
            await asyncio.gather(*self._tasks, *self._reading.values(), return_exceptions=True)

    def forget(self, mailbox: Mailbox) -> None:
        """The mailbox is gone."""
        view = self._kept.pop(mailbox, None)
        if view is not None:
            self._recount()

    def _read_far(self, mailbox: Mailbox) -> "asyncio.Task[MailboxView]":
        task = self._reading.get(mailbox)
        if task is None:
            mailbox.loading = []
            task = self._reading[mailbox] = asyncio.create_task(self._read(mailbox))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # if nobody waits any more
        return task

    async def _read(self, mailbox: Mailbox) -> MailboxView:
        try:
            view, rows = await self._workers.read(_read_large, mailbox)
            _attach(mailbox, view)
            mailbox.unsaved = rows
            for step in mailbox.loading or ():
                assert isinstance(step, Added | Flagged | Expunged)
                mailbox.unsaved += step.rows
                bring_up_to_date(view, step, step.change())
            return view
        finally:
            mailbox.loading = None
            del self._reading[mailbox]

    def _keep(self, mailbox: Mailbox, view: MailboxView) -> None:
        if mailbox in self._kept:
            self._kept.move_to_end(mailbox)
            return
        self._kept[mailbox] = view
        self._messages += len(view.uids)
        if len(self._kept) > KEPT_VIEWS or self._messages > KEPT_MESSAGES:
            self._recount()
            while len(self._kept) > 1 and (len(self._kept) > KEPT_VIEWS or self._messages > KEPT_MESSAGES):
                _, old = self._kept.popitem(last=False)
                self._messages -= len(old.uids)

    def _recount(self) -> None:
        self._messages = sum(len(view.uids) for view in self._kept.values())

    # Packing

    def grown(self, mailbox: Mailbox) -> None:
        """Pack the mailbox's state if its log has become long, also when nobody has it open: whoever opens it next does not
        wait until all of it was read row by row."""
        due = mailbox.unsaved > max(_SMALL, mailbox.messages // _SHARE)
        if due and mailbox not in self._packing and not self._closed:
            self._packing.add(mailbox)
            task = asyncio.create_task(self._pack(mailbox))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pack(self, mailbox: Mailbox) -> None:
        try:
            view = mailbox.loaded()
            if view is None:
                view = await asyncio.shield(self._read_far(mailbox))
            await self._writer.do(partial(stage_state, mailbox=mailbox, view=view))
        except StoreError:
            mailbox.unsaved = 0  # the log only stays longer; not with each commit the same again
        finally:
            self._packing.discard(mailbox)


def _attach(mailbox: Mailbox, view: MailboxView) -> None:
    view.name = mailbox.name
    mailbox.view = weakref.ref(view)
    mailbox.view_modseq = view.highestmodseq


def stage_state(batch: Batch, mailbox: Mailbox, view: MailboxView) -> None:
    """Write the packed state of a view as of the last commit; the change log up to it is not needed any more."""
    modseq = view.highestmodseq
    sets = "\n".join(encode_flags(flags) for flags in view.flag_table.sets)
    arrays = b"".join(little_endian(getattr(view, name)).tobytes() for name in _ARRAYS)
    arrays += _CHECKSUM.pack(_checksum(sets, arrays))
    batch.execute(
        "INSERT OR REPLACE INTO states SELECT id, ?, ?, ?, ? FROM mailboxes WHERE id = ?",
        (modseq, view.uidnext, sets, arrays, mailbox.id),
    )
    batch.execute("DELETE FROM changes WHERE mailbox = ? AND modseq <= ?", (mailbox.id, modseq))

    def saved() -> None:
        mailbox.unsaved = 0

    batch.then(saved)


def read(connection: apsw.Connection, mailbox: Mailbox) -> tuple[MailboxView, int]:
    """A view as of the last commit, and how many rows it took beyond the packed state. Raises StoreUnavailable."""
    view = MailboxView(
        mailbox.account, mailbox.id, mailbox.name, mailbox.uidvalidity, mailbox.object_id, mailbox.special_use
    )
    query(connection, "BEGIN")  # one snapshot for all that follows
    try:
        counters = query(connection, "SELECT uidnext, modseq FROM mailboxes WHERE id = ?", (mailbox.id,))
        packed = query(
            connection, "SELECT modseq, uidnext, flag_sets, arrays FROM states WHERE mailbox = ?", (mailbox.id,)
        )
        modseq, uidnext, flag_sets, arrays = packed[0] if packed else (0, 1, "", b"")
        added = query(
            connection,
            "SELECT uid, flags, modseq, size, internaldate FROM messages WHERE mailbox = ? AND uid >= ? ORDER BY uid",
            (mailbox.id, uidnext),
        )
        changes = query(
            connection, "SELECT modseq, runs FROM changes WHERE mailbox = ? AND modseq > ?", (mailbox.id, modseq)
        )
        expunges = query(
            connection, "SELECT modseq, uids FROM expunges WHERE mailbox = ? AND modseq > ?", (mailbox.id, modseq)
        )
    finally:
        # SQLite may have ended it by itself after an error; what is left open would make the connection useless for good.
        if connection.in_transaction:
            query(connection, "ROLLBACK")
    with decoding(f"what the index knows of {mailbox.name}"):
        if packed:
            _unpack(view, flag_sets, arrays)
        for i in range(0, len(added), _SLICE):
            _add(view, added[i : i + _SLICE])
        log = [(m, 0, octets) for m, octets in changes] + [(m, 1, octets) for m, octets in expunges]
        for when, kind, octets in sorted(log):
            if kind:
                view.remove(decode_uids(octets), when)
            else:
                set_runs(view, decode_runs(octets), when)
        if counters:
            view.uidnext, view.highestmodseq = map(_number, counters[0])
        view.journal_start = view.highestmodseq
    return view, len(added) + len(log)


def _read_large(connection: apsw.Connection, mailbox: Mailbox) -> tuple[MailboxView, int]:
    """The same in a thread, with what is counted when it is first asked for: that may take long, too."""
    view, rows = read(connection, mailbox)
    view.count_everything(_SLICE)
    return view, rows


_LOGS = (("changes", "runs", "a change of flags", decode_runs), ("expunges", "uids", "an expunge", decode_uids))


def undecodable(connection: apsw.Connection, mailbox: int) -> list[tuple[str, str, object]]:
    """Rows of a mailbox's state that cannot be decoded: table, what it is, its modseq. Raises StoreUnavailable."""
    found: list[tuple[str, str, object]] = []
    for modseq, sets, arrays in query(
        connection, "SELECT modseq, flag_sets, arrays FROM states WHERE mailbox = ?", (mailbox,)
    ):
        try:
            _unpack(MailboxView(0, mailbox, "", 0, ""), sets, arrays)
        except UNDECODABLE:
            found.append(("states", "the state", modseq))
    for table, column, what, decode in _LOGS:
        for modseq, octets in query(connection, f"SELECT modseq, {column} FROM {table} WHERE mailbox = ?", (mailbox,)):
            try:
                decode(octets)
            except UNDECODABLE:
                found.append((table, what, modseq))
    return found


def _add(view: MailboxView, rows: list[tuple[int, str, int, int, int]]) -> None:
    if not rows:
        return
    uids, texts, modseqs, sizes, internaldates = zip(*rows, strict=True)
    numbers = {text: view.flag_table.number(decode_flags(text)) for text in dict.fromkeys(texts)}
    view.uids.extend(uids)
    view.flags.extend([numbers[text] for text in texts])
    view.modseqs.extend(modseqs)
    view.sizes.extend(sizes)
    view.internaldates.extend(internaldates)


def _unpack(view: MailboxView, flag_sets: str, arrays: bytes) -> None:
    """Raises ValueError or TypeError when these are no packed state."""
    for text in flag_sets.split("\n")[1:]:  # the first one is the empty set, which every table has
        view.flag_table.number(decode_flags(text))
    unit = sum(array(getattr(view, name).typecode).itemsize for name in _ARRAYS)
    count, rest = divmod(len(arrays), unit)
    if rest == _CHECKSUM.size:  # else it was written by an older version
        if _CHECKSUM.unpack(arrays[-rest:]) != (_checksum(flag_sets, arrays[:-rest]),):
            raise ValueError("the checksum of its messages is wrong")
    elif rest:
        raise ValueError("its messages are cut off")
    at = 0
    for name in _ARRAYS:
        values: array[int] = array(getattr(view, name).typecode)
        values.frombytes(memoryview(arrays)[at : at + count * values.itemsize])
        setattr(view, name, little_endian(values))
        at += count * values.itemsize
    known = len(view.flag_table.sets)
    if any(max(view.flags[i : i + _SLICE]) >= known for i in range(0, count, _SLICE)):
        raise ValueError("a message has flags that are none")


def _checksum(flag_sets: str, arrays: bytes) -> int:
    return zlib.crc32(flag_sets.encode(), zlib.crc32(arrays))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} where a number belongs")
    return value
