"""Rebuild: a new index out of the segments alone, when there is none or it is broken.

It begins with the last copy of where everything is (`placements`), if there is a sound one. For what came later, each record's
note says where its message was delivered, when, and with which flags. What else happened later is known to the index only:
flags, moves, removals. So messages that were removed since, but whose octets are still there, come back; none is lost.
Mailboxes get a new UIDVALIDITY, so that mail programs fetch them anew. Queued mail is never sent again: nobody knows
whether it was sent already. What belongs nowhere goes into `lost+found` of the postmaster.
The new index is made in a folder of its own and takes its place in one step; the broken one is kept.
"""

import asyncio
import json
import os
import shutil
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from pillarbox.mail.summary import summarise_anyway
from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import Account, AlreadyExists, PasswordHashes, Progress, StoreError, StoreUnavailable
from pillarbox.store.embedded import notes, placements, schema, segments, state, summaries
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.changelog import encode_flags
from pillarbox.store.embedded.fsck import ORPHANS
from pillarbox.store.embedded.incoming import ALONE, Incoming, stage_message
from pillarbox.store.embedded.notes import Delivered
from pillarbox.store.embedded.place import SEGMENTS, Place, sync_folder
from pillarbox.store.embedded.placements import Base
from pillarbox.store.embedded.salvage import AROUND_INDEX, Salvage, salvage
from pillarbox.store.embedded.segments import RECORD_HEADER, Record
from pillarbox.store.embedded.steps import Added
from pillarbox.store.embedded.store import EmbeddedStore

LOST = "lost+found"
_AHEAD = 86_400  # so far UIDVALIDITY may have run ahead of the clock: mailboxes that were made in one second
_MATCHES_NOTHING = "!"  # is no hash
_STEP = 8 * 1024 * 1024  # octets of messages to a commit
_MESSAGES = 200  # and how many of them
_UNKNOWN_DOMAIN = "recovered.invalid"


@dataclass(slots=True)
class Rebuilt:
    """What came of it. `broken`: where the old index is now. `closed`: accounts without a password. `unreadable`: sentences.
    `placed`: until when everything is as it was, epoch seconds; None when nobody knows more than what was delivered where."""

    messages: int
    lost: int
    accounts: int
    closed: list[str]
    unreadable: list[str]
    broken: Path | None
    placed: int | None


def damage(directory: Path) -> str:
    """What is wrong with the index of a store that nobody uses, so that it must be made anew; "" when nothing is."""
    index = directory / schema.INDEX_FILE
    folder = directory / SEGMENTS
    if not index.exists() or index.stat().st_size == 0:
        there = folder.is_dir() and any(any(segments.scan(folder, n)) for n in segments.numbers(folder))
        return "the index is missing" if there else ""
    try:
        connection = apsw.Connection(str(index), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if found == [("ok",)] and connection.pragma("user_version") == schema.VERSION:
                state.load(connection, state.State(time.time))
        finally:
            connection.close()
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return f"the index is damaged: {error}"
    except (*schema.UNDECODABLE, StoreUnavailable) as error:
        return f"the index is damaged: {type(error).__name__} {error}"
    return "" if found == [("ok",)] else f"the index is damaged: {found[0][0]}"


async def rebuild(
    directory: Path,
    *,
    progress: Progress = lambda _done, _total: None,
    clock: Callable[[], float] = time.time,
) -> Rebuilt:
    """Make a new index. Nobody else may use the store. Raises StoreError, OSError; then the old one is where it was."""
    place = await asyncio.to_thread(Place.take, directory)
    scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rebuilding-", dir=directory))
    try:
        kept = await asyncio.to_thread(salvage, directory, scratch)
        found = await asyncio.to_thread(find_records, place.segments)
        base = await asyncio.to_thread(_lay_out, place, scratch, kept, found, int(clock()))
        store = await EmbeddedStore.open(scratch, clock=clock)
        try:
            await store.keep_still()
            await kept.put_into(store)
            work = _Rebuilding(store, place.segments, kept, base, progress)
            await work.run(found)
        finally:
            await store.close()
        broken = await asyncio.to_thread(_exchange, place, scratch, int(clock()))
        placed = base.time if base is not None else None
        return Rebuilt(work.messages, work.lost, work.accounts, work.closed, work.unreadable, broken, placed)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        place.release()


def _lay_out(place: Place, scratch: Path, kept: Salvage, found: "Found", now: int) -> Base | None:
    base = placements.lay(place.directory, scratch)
    if base is not None and not all(
        base.blobs.get(blob, (r.size, r.crc)) == (r.size, r.crc) for blob, (_, r) in found.items()
    ):
        base = None  # of another life of this store
        for ending in AROUND_INDEX:
            (scratch / f"{schema.INDEX_FILE}{ending}").unlink(missing_ok=True)
    index = schema.connect(scratch, writer=True)
    try:
        schema.prepare(index, scratch)
        known = int(index.execute("SELECT value FROM counters WHERE name = 'uidvalidity'").get or 0)
        least = max(kept.uidvalidity, known)
        if base is not None:
            least = max(least, now + _AHEAD)  # new values are made of the clock
        placements.renumber(index, least + 1)
    finally:
        index.close()
    (scratch / SEGMENTS).mkdir(mode=0o700)
    for number in segments.numbers(place.segments):
        source = segments.path_of(place.segments, number)
        segments.path_of(scratch / SEGMENTS, number).symlink_to(source.resolve())
    return base


Found = dict[int, tuple[int, Record]]
"""The segment and the record of each blob."""


def find_records(folder: Path) -> Found:
    """The place of each blob in these segments; where compaction has just moved it, the newer one."""
    found: Found = {}
    for number in segments.numbers(folder):
        for record in segments.scan(folder, number):
            if record.blob not in found or segments.is_whole(
                folder, number, record.offset, blob=record.blob, size=record.size, crc=record.crc
            ):
                found[record.blob] = number, record
    return found


def _exchange(place: Place, scratch: Path, now: int) -> Path | None:
    """The new index goes where the broken one was, and that one beside it. Cut off in between, the index is missing, which
    everyone notices; and no write-ahead log ever lies beside an index that is not its own."""
    new, old = scratch / schema.INDEX_FILE, place.directory / schema.INDEX_FILE
    new.chmod(0o600)
    broken = old.with_name(f"{old.name}.broken-{now}") if old.stat().st_size else None
    for ending in AROUND_INDEX:
        beside = old.with_name(old.name + ending)
        with suppress(FileNotFoundError):
            if broken is None:
                beside.unlink()
            else:
                beside.rename(broken.with_name(broken.name + ending))
    sync_folder(place.directory)
    new.rename(old)
    sync_folder(place.directory)
    return broken


class _Rebuilding:
    """Fills a new store from the records of the segments in a folder."""

    def __init__(
        self, store: EmbeddedStore, folder: Path, kept: Salvage, base: Base | None, progress: Progress
    ) -> None:
        self._store = store
        self._base = base
        self._lacking = set(base.blobs) if base is not None else set()
        self._folder = folder
        self._kept = kept
        self._progress = progress
        self._domains: Counter[str] = Counter()
        self.messages = self.lost = self.accounts = 0
        self.closed: list[str] = []
        self.unreadable: list[str] = []

    async def run(self, found: Found) -> None:
        """All of it."""
        self._domains.update(d.address.rpartition("@")[2] for _, r in found.values() for d in notes.decode(r.note))
        wanted = [
            blob for blob in sorted(found) if not self._is_gone(found[blob][1])
        ]  # in the order in which they came
        total = len(wanted)
        octets = 0
        some: list[tuple[int, Record]] = []
        for done, blob in enumerate(wanted, 1):
            some.append(found[blob])
            octets += found[blob][1].size
            if octets >= _STEP or len(some) >= _MESSAGES or done == total:
                await self._take(some)
                some, octets = [], 0
                self._progress(done, total)
        if self._base is not None:
            await self._finish_base()
        accounts = await self._store.directory.accounts()
        self.accounts = len(accounts)
        self.messages = sum([(await self._store.mail.usage(account.id))[1] for account in accounts])

    def _is_gone(self, record: Record) -> bool:
        """Whether the copy says that this message was removed. Very large ones get their number long before their commit."""
        return self._base is not None and self._base.knows_gone(record.blob) and record.size <= ALONE

    async def _finish_base(self) -> None:
        """What the copy places, but no segment holds, goes; what nobody refers to is released."""
        lacking = json.dumps(sorted(self._lacking))
        owners = await self._store.directory.accounts()
        for account in owners:
            for mailbox in await self._store.mail.mailboxes(account.id):
                uids = await self._store.check.uids_of(mailbox.id, self._lacking)
                gone = await self._store.mail.expunge(account.id, mailbox.id, uids, deleted_only=False)
                if gone:
                    self.unreadable.append(
                        f"{len(gone)} messages of {account.address}'s {mailbox.name} are in no segment, or damaged there"
                    )

        def plan(batch: Batch) -> None:
            batch.execute("DELETE FROM messages WHERE blob IN (SELECT value FROM json_each(?))", (lacking,))
            batch.execute("DELETE FROM blobs WHERE id IN (SELECT value FROM json_each(?))", (lacking,))
            batch.execute(f"INSERT OR IGNORE INTO released SELECT id FROM blobs WHERE {ORPHANS}")
            batch.execute("DELETE FROM segments")
            batch.execute(
                f"INSERT INTO segments SELECT segment, sum(size + {RECORD_HEADER}) FROM blobs GROUP BY segment"
            )

        await self._store.commit(plan)

    async def _take(self, some: list[tuple[int, Record]]) -> None:
        loaded = await asyncio.to_thread(self._load, some)
        wanted: list[tuple[int, int, Incoming, list[tuple[Account, Delivered]]]] = []
        placed: list[tuple[int, int, bytes, int]] = []
        for number, record, incoming in loaded:
            if record.blob in self._lacking:
                self._lacking.discard(record.blob)
                placed.append((number, record.offset, incoming.summary, record.blob))
                continue
            places = [p for d in notes.decode(record.note) if (p := await self._place(d)) is not None]
            if not places:
                self.lost += 1
                places = [await self._nowhere()]
            wanted.append((number, record.offset, incoming, places))

        def plan(batch: Batch) -> None:
            for row in placed:
                batch.execute("UPDATE blobs SET segment = ?, offset = ?, summary = ? WHERE id = ?", row)
            for number, offset, incoming, places in wanted:
                batch.place_blob(incoming.blob, number, offset, incoming.size, incoming.crc, incoming.summary)
                for account, delivered in places:
                    _put(batch, incoming, account, delivered)

        if wanted or placed:
            await self._store.commit(plan)

    def _load(self, some: list[tuple[int, Record]]) -> list[tuple[int, Record, Incoming]]:
        loaded = []
        for number, record in some:
            with segments.path_of(self._folder, number).open("rb") as file:
                file.seek(record.offset + RECORD_HEADER)
                octets = file.read(record.size)
            if zlib.crc32(octets) == record.crc:
                loaded.append((number, record, _incoming(record, octets)))
            else:
                self.unreadable.append(f"the record at {record.offset} in segment {number:08x} is damaged")
        return loaded

    async def _place(self, delivered: Delivered) -> tuple[Account, Delivered] | None:
        try:
            account = await self._account(delivered.address)
            if account is None:
                return None
            await self._mailbox(account, delivered.mailbox)
        except (StoreError, ValueError):  # the note is not one of ours
            return None
        return account, delivered

    async def _account(self, address: str) -> Account | None:
        directory = self._store.directory
        account = await directory.account(address)
        if account is not None or self._kept.complete:
            return account  # an account that was removed is not brought back
        with suppress(AlreadyExists):
            await directory.add_domain(address.rpartition("@")[2])
        return await self._add(address)

    async def _add(self, address: str) -> Account:
        nothing = os.urandom(32)
        hashes = PasswordHashes(_MATCHES_NOTHING, ScramKeys(os.urandom(16), 50_000, nothing, nothing))
        self.closed.append(address)
        return await self._store.directory.add_account(address, hashes)

    async def _mailbox(self, account: Account, name: str) -> None:
        if name.upper() != "INBOX" and name not in {m.name for m in await self._store.mail.mailboxes(account.id)}:
            await self._store.mail.create(account.id, name)

    async def _nowhere(self) -> tuple[Account, Delivered]:
        """The postmaster's lost+found, made when it is first needed."""
        directory = self._store.directory
        known = await directory.domains() or [d for d, _ in self._domains.most_common(1) if d] or [_UNKNOWN_DOMAIN]
        domain = known[0]
        with suppress(AlreadyExists):
            await directory.add_domain(domain)
        for address in (f"postmaster@{domain}", f"lost-and-found@{domain}"):
            with suppress(AlreadyExists):
                account = await directory.account(address) or await self._add(address)
                await self._mailbox(account, LOST)
                return account, Delivered(address, LOST, 0, frozenset())
        raise StoreError(f"nobody can have lost+found: both addresses at {domain} are aliases")


def _incoming(record: Record, octets: bytes) -> Incoming:
    summary = summarise_anyway(octets)
    key = summaries.message_id_hash(summary.message_id)
    return Incoming(
        record.size, record.crc, summaries.pack(summary), summary.message_id, key, b"", record.note, record.blob
    )


def _put(batch: Batch, incoming: Incoming, account: Account, delivered: Delivered) -> None:
    owner = batch.owner(account.id)
    mailbox = owner.owner.named("INBOX" if delivered.mailbox.upper() == "INBOX" else delivered.mailbox)
    uid, modseq = batch.mailbox(mailbox).uidnext, owner.next_modseq()
    date = delivered.internaldate or int(batch.state.clock())
    flags = delivered.flags
    stage_message(batch, incoming, incoming.blob, mailbox.id, uid, modseq, encode_flags(flags), date)
    batch.add_step(owner, Added(mailbox, modseq, [(uid, flags, incoming.size, date)]))
