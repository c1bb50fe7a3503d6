"""Batch: operations that share one commit. They are planned one after the other against the last commit plus what the
batch holds already; nothing outside the batch changes until the commit succeeded.

Invariant: a plan that raises has staged nothing (it checks first and stages afterwards), or the batch is planned anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import apsw
import msgspec

from pillarbox.store.api import OverQuota, StoreUnavailable
from pillarbox.store.changes import Change
from pillarbox.store.embedded.changelog import Run, encode_flags, encode_runs, encode_uids
from pillarbox.store.embedded.segments import RECORD_HEADER, SegmentLog, record_header
from pillarbox.store.embedded.state import Mailbox, Owner, State
from pillarbox.store.embedded.steps import Added, Expunged, Flagged, Step
from pillarbox.store.flags import Flags

Row = Sequence[object]

_json = msgspec.json.Encoder()

TRY_LATER = "the store cannot be written now ({}): try again later"


class Undecided(StoreUnavailable):
    """The commit itself failed. It did not happen; but if the process dies now, the index may show that it did. So the octets
    it refers to stay."""


class NextBatch(Exception):
    """This operation needs what the batch holds to be committed first."""


@dataclass(slots=True)
class MailboxDraft:
    """A mailbox as it will be after the commit. `runs` (with their modseq) and `removed` are this batch's changes."""

    mailbox: Mailbox
    uidnext: int
    modseq: int
    messages: int
    octets: int
    runs: list[tuple[Run, int]] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)


@dataclass(slots=True)
class OwnerDraft:
    """An account's counters as they will be after the commit."""

    owner: Owner
    modseq: int
    octets: int
    messages: int

    def need_room(self, octets: int) -> None:
        """Raises OverQuota when so many octets more would be too many."""
        account = self.owner.account
        if account.quota and octets > 0 and self.octets + octets > account.quota:
            raise OverQuota(f"{account.address} has no room for {octets} octets more")

    def next_modseq(self) -> int:
        """The modseq of one operation."""
        self.modseq += 1
        return self.modseq


@dataclass(slots=True)
class CopiedRows:
    """Messages of one mailbox that become messages of another, with these flags: the rows are made of the old ones."""

    target: int
    first: int
    modseq: int
    now: int
    source: int
    uids: Sequence[int]
    flags: Sequence[Flags]

    def row(self) -> Row:
        """The parameters of _COPY; for so many messages they are worth making beside the event loop."""
        texts = {flags: encode_flags(flags) for flags in set(self.flags)}
        pairs = list(zip(self.uids, map(texts.__getitem__, self.flags), strict=True))
        return self.target, self.first, self.modseq, self.now, _json.encode(pairs).decode(), self.source


class Batch:
    """What is staged for one commit. `version` grows with everything staged."""

    def __init__(self, state: State, log: SegmentLog) -> None:
        self.state = state
        self.version = 0
        self.octets = 0
        self.segment = log.number
        self.start = self.end = log.end
        self.buffers: list[bytes] = []
        self.live: dict[int, int] = {}
        self.blobs: list[Row] = []
        self.messages: list[Row] = []
        self.copies: list[CopiedRows] = []
        self.changes: list[Flagged] = []
        self.expunges: list[tuple[Expunged, int, str | None]] = []  # when, by which session
        self.created: list[Mailbox] = []
        self.statements: list[tuple[str, Row]] = []
        self.mailboxes: dict[Mailbox, MailboxDraft] = {}
        self.owners: dict[Owner, OwnerDraft] = {}
        self.steps: list[Step | Change] = []
        self.afterwards: list[Callable[[], None]] = []
        self.message_ids: set[tuple[int, int]] = set()  # (mailbox, hash) of the messages staged here
        self.queue_entries: set[str] = set()
        self.recent = [(mailbox, mailbox.recent) for mailbox in state.recent_claims]
        self.sweep = False  # something became garbage
        self._restructured: set[Owner] = set()
        self._directory_changed = False

    # What plans read

    def owner(self, account: int) -> OwnerDraft:
        """An account's draft. Raises NoSuchAccount, NextBatch."""
        owner = self.state.owner(account)
        if owner in self._restructured:
            raise NextBatch
        draft = self.owners.get(owner)
        if draft is None:
            draft = self.owners[owner] = OwnerDraft(owner, owner.modseq, owner.octets, owner.messages)
        return draft

    def mailbox(self, mailbox: Mailbox) -> MailboxDraft:
        """A mailbox's draft."""
        draft = self.mailboxes.get(mailbox)
        if draft is None:
            draft = self.mailboxes[mailbox] = MailboxDraft(
                mailbox, mailbox.uidnext, mailbox.modseq, mailbox.messages, mailbox.octets
            )
        return draft

    def restructure(self, account: int) -> OwnerDraft:
        """For an operation that changes which mailboxes an account has: it wants the account untouched in this batch, and
        whatever comes after it waits. Raises NoSuchAccount, NextBatch."""
        owner = self.state.owner(account)
        if owner in self.owners:
            raise NextBatch
        draft = self.owner(account)
        self._restructured.add(owner)
        return draft

    def change_directory(self) -> None:
        """For an operation on the directory: one to a batch. Raises NextBatch."""
        if self._directory_changed:
            raise NextBatch
        self._directory_changed = True

    # What plans stage

    def add_blob(self, blob: int, octets: bytes, crc: int, summary: bytes, note: bytes) -> None:
        """Octets for the segment, and their place for the index."""
        self.place_blob(blob, self.segment, self.add_record(blob, octets, crc, note), len(octets), crc, summary)

    def add_record(self, blob: int, octets: bytes, crc: int, note: bytes) -> int:
        """Octets for the segment; returns the offset they will have."""
        offset = self.end
        self.buffers += (record_header(blob, len(octets), crc, note), octets, note)
        self.end += RECORD_HEADER + len(octets) + len(note)
        self.octets += len(octets)
        self.version += 1
        return offset

    def place_blob(self, blob: int, segment: int, offset: int, size: int, crc: int, summary: bytes) -> None:
        """A blob whose octets are (or will be) in a segment."""
        self.blobs.append((blob, segment, offset, size, crc, summary))
        self.live[segment] = self.live.get(segment, 0) + RECORD_HEADER + size
        self.version += 1

    def add_step(self, owner: OwnerDraft, step: Step) -> None:
        """Stage what happens to a mailbox: its counters, the change log, what is published."""
        self.version += 1
        draft = self.mailbox(step.mailbox)
        draft.modseq = step.modseq
        self.steps.append(step)
        if isinstance(step, Added):
            octets = sum(m[2] for m in step.messages)
            draft.uidnext = step.messages[-1][0] + 1
            draft.messages += len(step.messages)
            draft.octets += octets
            owner.messages += len(step.messages)
            owner.octets += octets
        elif isinstance(step, Flagged):
            draft.runs += [(run, step.modseq) for run in step.runs]
            self.changes.append(step)

    def expunge(self, owner: OwnerDraft, step: Expunged, octets: int, by: str | None) -> None:
        """Stage that messages of so many octets together go."""
        self.add_step(owner, step)
        draft = self.mailbox(step.mailbox)
        draft.removed.update(step.uids)
        draft.messages -= len(step.uids)
        draft.octets -= octets
        owner.messages -= len(step.uids)
        owner.octets -= octets
        now = int(self.state.clock())
        self.sweep = True
        self.expunges.append((step, now, by))

    def execute(self, sql: str, row: Row = ()) -> None:
        """Stage any other statement; these run last, in order."""
        self.version += 1
        self.statements.append((sql, row))

    def count(self, *counters: str) -> None:
        """Make sure that the numbers these counters gave are not given again after a restart."""
        for name in counters:
            self.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, self.state.counters[name]))

    def then(self, function: Callable[[], None]) -> None:
        """Run this after the commit, before anything is published."""
        self.version += 1
        self.afterwards.append(function)

    def publish(self, change: Change) -> None:
        """Publish a change after the commit."""
        self.version += 1
        self.steps.append(change)

    # The commit (writer thread), then its consequences (event loop)

    def commit(self, connection: apsw.Connection, log: SegmentLog) -> None:
        """Make everything durable: octets first, then the index that refers to them. Raises OSError, apsw.Error."""
        try:
            if self.buffers:
                log.write(self.segment, self.start, self.buffers)
            connection.execute("BEGIN IMMEDIATE")
            self._write(connection)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self.buffers:
                log.take_back(self.segment, self.start)
            raise
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise Undecided(str(error)) from error

    def _write(self, connection: apsw.Connection) -> None:
        many = connection.executemany
        if self.created:
            many(_INSERT_MAILBOX, [_mailbox_row(m) for m in self.created])
        if self.blobs:
            many("INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?)", self.blobs)
            many(_ADD_LIVE, list(self.live.items()))
        if self.messages:
            many("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self.messages)
        if self.copies:
            many(_COPY, map(CopiedRows.row, self.copies))
        if self.changes:
            many(
                "INSERT INTO changes VALUES (?, ?, ?)",
                [(s.mailbox.id, s.modseq, encode_runs(s.runs)) for s in self.changes],
            )
        if self.expunges:
            many(
                "INSERT INTO expunges (mailbox, modseq, at, session, uids) VALUES (?, ?, ?, ?, ?)",
                [(s.mailbox.id, s.modseq, at, by, encode_uids(s.uids)) for s, at, by in self.expunges],
            )
        many(
            "UPDATE mailboxes SET uidnext = ?, modseq = ?, messages = ?, octets = ? WHERE id = ?",
            [(d.uidnext, d.modseq, d.messages, d.octets, d.mailbox.id) for d in self.mailboxes.values()],
        )
        many("UPDATE mailboxes SET recent = ? WHERE id = ?", [(uid, mailbox.id) for mailbox, uid in self.recent])
        for sql, row in self.statements:
            connection.execute(sql, row)

    def settle(self, log: SegmentLog) -> None:
        """After the commit: the state in memory becomes what was committed."""
        log.end = self.end
        for draft in self.mailboxes.values():
            mailbox = draft.mailbox
            mailbox.uidnext, mailbox.modseq = draft.uidnext, draft.modseq
            mailbox.messages, mailbox.octets = draft.messages, draft.octets
        for counters in self.owners.values():
            owner = counters.owner
            owner.modseq, owner.octets, owner.messages = counters.modseq, counters.octets, counters.messages
        self.state.recent_claims.difference_update([mailbox for mailbox, uid in self.recent if mailbox.recent == uid])
        for function in self.afterwards:
            function()


_INSERT_MAILBOX = "INSERT INTO mailboxes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_LIVE = "INSERT INTO segments VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET live = live + excluded.live"
_COPY = """
    INSERT INTO messages
    SELECT ?, ? + pair.key, m.blob, ?, m.size, m.internaldate, ?, m.email_id, m.thread_id, m.trace_id, 0,
           m.message_id_hash, pair.value ->> 1
    FROM json_each(?) AS pair CROSS JOIN messages AS m ON m.mailbox = ? AND m.uid = pair.value ->> 0"""


def _mailbox_row(m: Mailbox) -> Row:
    return (
        m.id, m.account, m.name, m.special_use, m.object_id, m.uidvalidity, m.uidnext, m.modseq, m.recent, m.messages,
        m.octets,
    )  # fmt: skip
