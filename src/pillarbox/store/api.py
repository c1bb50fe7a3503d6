"""What every home of the store promises: values, errors and interfaces.

Invariants (each home keeps them; `tests/store/contract` checks them):
- UIDs of a mailbox only grow and are never reused. UIDVALIDITY is stored, unique per name and re-creation.
- A modseq is never given twice in an account; order of modseq = order of commit.
- A returned awaitable means: on disk. Views change and `Change`s are published after the commit.
- A message's octets never change. A blob is stored once, however many messages refer to it.
- Every method that changes something is one transaction: wholly done or not at all.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

import msgspec

from pillarbox.mail.summary import Listed, Summary
from pillarbox.store.changes import ChangeFeed
from pillarbox.store.directory import Account as Account
from pillarbox.store.directory import Alias as Alias
from pillarbox.store.directory import Directory as Directory
from pillarbox.store.directory import PasswordHashes as PasswordHashes
from pillarbox.store.errors import AlreadyExists as AlreadyExists
from pillarbox.store.errors import BadMailboxName as BadMailboxName
from pillarbox.store.errors import MailboxExists as MailboxExists
from pillarbox.store.errors import NoSuchAccount as NoSuchAccount
from pillarbox.store.errors import NoSuchMailbox as NoSuchMailbox
from pillarbox.store.errors import NotFound as NotFound
from pillarbox.store.errors import OverQuota as OverQuota
from pillarbox.store.errors import StoreError as StoreError
from pillarbox.store.errors import StoreUnavailable as StoreUnavailable
from pillarbox.store.errors import TooManyMailboxes as TooManyMailboxes
from pillarbox.store.flags import NONE, Flags
from pillarbox.store.spool import Spool
from pillarbox.store.upkeep import Check as Check
from pillarbox.store.upkeep import Progress as Progress
from pillarbox.store.view import MailboxView

T = TypeVar("T")

INBOX = "INBOX"

DEFAULT_MAILBOXES = {
    "INBOX": "",
    "Sent": "\\Sent",
    "Drafts": "\\Drafts",
    "Trash": "\\Trash",
    "Junk": "\\Junk",
    "Archive": "\\Archive",
}
"""Mailboxes that a new account has, and their special uses (RFC 6154)."""

SEPARATOR = "/"
"""Separates the levels of mailbox names."""


# --- mailboxes and messages -----------------------------------------------------------------------------------------


class MailboxInfo(msgspec.Struct, frozen=True):
    """A mailbox as LIST shows it. `id` is internal; `object_id` permanent and public (RFC 8474)."""

    id: int
    name: str
    special_use: str
    subscribed: bool
    object_id: str
    uidvalidity: int


class NewMessage(msgspec.Struct, frozen=True):
    """A message for `append`. `internaldate` in epoch seconds, None for now. `replaces` is expunged in the same step."""

    spool: Spool
    flags: Flags = NONE
    internaldate: int | None = None
    replaces: int | None = None


class Appended(msgspec.Struct, frozen=True):
    """Where messages went: UIDs in the order they were given (APPENDUID, RFC 4315)."""

    mailbox: int
    uidvalidity: int
    uids: Sequence[int]


class Copied(msgspec.Struct, frozen=True):
    """Which messages went where, both in the order of the request (COPYUID); those already gone are left out."""

    uidvalidity: int
    source: Sequence[int]
    target: Sequence[int]


class StoreMode(Enum):
    """FLAGS, +FLAGS, -FLAGS."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class Stored(msgspec.Struct, frozen=True):
    """`changed` have got the new modseq; `unchanged` existed but already had these flags; `failed` were changed by someone
    else since (RFC 7162 MODIFIED). UIDs that are gone are in none."""

    modseq: int
    changed: Sequence[int]
    unchanged: Sequence[int]
    failed: Sequence[int]


class MessageRecord(msgspec.Struct, frozen=True, gc=False):
    """What is kept of one message and never changes. `email_id` is permanent and never reused (OBJECTID, UIDL);
    `savedate` when it came into this mailbox, epoch seconds; `filed_by_server` marks the Sent copy that submission made."""

    uid: int
    summary: Summary
    email_id: str
    thread_id: str
    savedate: int
    trace_id: str
    filed_by_server: bool


class Held(msgspec.Struct, frozen=True):
    """UIDs of messages that surely hold a text, and of those that must be read to know it; all others do not."""

    surely: Sequence[int]
    perhaps: Sequence[int]


class Mail(Protocol):
    """Mailboxes and messages. Mailboxes are meant by id where a session has them open, by name where a person named them.
    Names are compared exactly, but INBOX in any case (`store.names.mailbox_name`). Everything raises NoSuchAccount."""

    async def mailboxes(self, account: int) -> list[MailboxInfo]:
        """All of them, INBOX first, then by name."""

    async def create(self, account: int, name: str, *, special_use: str = "") -> MailboxInfo:
        """Parents are created too. Raises MailboxExists, BadMailboxName."""

    async def delete(self, account: int, name: str) -> None:
        """The mailbox and its messages, not its children. Raises NoSuchMailbox, BadMailboxName (INBOX)."""

    async def rename(self, account: int, name: str, new_name: str) -> None:
        """With its children; UIDs and UIDVALIDITY stay. INBOX: its messages move to the new mailbox (RFC 9051 §6.3.6).
        Raises NoSuchMailbox, MailboxExists, BadMailboxName."""

    async def subscribe(self, account: int, name: str, *, subscribed: bool) -> None:
        """Subscriptions of names that do not exist (any more) are kept too (RFC 9051 §6.3.7)."""

    async def subscriptions(self, account: int) -> list[str]: ...

    async def open(self, account: int, name: str) -> MailboxView:
        """The live view of a mailbox; the same object for all. Raises NoSuchMailbox."""

    async def open_by_id(self, account: int, mailbox: int) -> MailboxView: ...

    async def claim_recent(self, account: int, mailbox: int) -> int:
        """The first UID that no session was told to be recent yet; messages from there on are recent to the caller only."""

    async def first_recent(self, account: int, mailbox: int) -> int:
        """What `claim_recent` would give, without claiming anything (EXAMINE, STATUS)."""

    async def append(self, account: int, name: str, messages: Sequence[NewMessage]) -> Appended:
        """All or none. Raises NoSuchMailbox, OverQuota, StoreUnavailable."""

    async def copy(self, account: int, mailbox: int, uids: Sequence[int], target: str) -> Copied:
        """Flags, internaldate kept; no octets are copied. Raises NoSuchMailbox, OverQuota."""

    async def move(
        self, account: int, mailbox: int, uids: Sequence[int], target: str, *, by: str | None = None
    ) -> Copied:
        """Copy and expunge as one step (RFC 6851); into the same mailbox it gives new UIDs. Never OverQuota."""

    async def store_flags(
        self,
        account: int,
        mailbox: int,
        uids: Sequence[int],
        mode: StoreMode,
        flags: Flags,
        *,
        unchanged_since: int | None = None,
        by: str | None = None,
    ) -> Stored: ...

    async def expunge(
        self,
        account: int,
        mailbox: int,
        uids: Sequence[int] | None,
        *,
        deleted_only: bool = True,
        by: str | None = None,
    ) -> Sequence[int]:
        """Remove messages (None: all), by default only those with \\Deleted; returns the UIDs that are gone now."""

    async def expunged_since(self, account: int, mailbox: int, modseq: int) -> Sequence[int]:
        """UIDs expunged after `modseq` (QRESYNC's VANISHED)."""

    async def records(self, account: int, mailbox: int, uids: Sequence[int]) -> list[MessageRecord | None]:
        """One for each UID, None where it is gone."""

    async def listed(self, account: int, mailbox: int, uids: Sequence[int]) -> list[Listed | None]:
        """What listings show of each (a part of its record, for less), None where it is gone."""

    async def email_ids(self, account: int, mailbox: int, uids: Sequence[int]) -> list[str | None]:
        """Each message's `MessageRecord.email_id`, None where it is gone: a POP3 client asks for all at every visit."""

    async def octets(
        self, account: int, mailbox: int, uid: int, start: int = 0, length: int | None = None
    ) -> bytes | None:
        """A message's octets, or a part of them; None when it is gone."""

    async def contents(
        self, account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
    ) -> list[bytes | None]:
        """The octets of several messages, or so many from each's beginning; None where one is gone. All in memory at once."""

    async def may_hold(self, account: int, mailbox: int, needle: str) -> Sequence[int] | None:
        """UIDs, ascending, of all messages whose text (header and body, see `mail.full_text`) holds a folded needle, and
        maybe of some that do not. None: the home cannot tell, so that any message may."""

    async def holding(self, account: int, mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
        """Of these messages those whose body, or whose header too, holds a folded needle, as far as that is known without
        reading them. It may take some microseconds for each."""

    def turn(self, account: int) -> AbstractAsyncContextManager[None]:
        """One slice of long work, of some milliseconds, for an account; accounts take turns. What is read and computed for one
        command in many slices goes through this, so that nobody keeps the others waiting."""

    async def compute(self, work: Callable[[], T]) -> T:
        """Do a piece of work that takes long where it does not hold up the event loop."""

    async def find_message_id(self, account: int, mailbox: int, message_id: str) -> Sequence[int]:
        """UIDs of the messages with this Message-ID (with its angle brackets), ascending."""

    async def usage(self, account: int) -> tuple[int, int]:
        """Octets and messages that count towards the quota."""


# --- delivery and the queue -----------------------------------------------------------------------------------------


class Delivery(msgspec.Struct, frozen=True):
    """Into one mailbox of one account; a mailbox that is missing is created. `sent_copy`: skip it when the mailbox
    already holds this Message-ID, and mark it as filed by the server. `version`: this mailbox gets these octets instead."""

    account: int
    mailbox: str = INBOX
    flags: Flags = NONE
    sent_copy: bool = False
    version: Spool | None = None


class RecipientState(Enum):
    """Where a queued recipient stands."""

    QUEUED = "queued"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class QueueRecipient:
    """One forward-path of a queued message. `next_attempt` in epoch seconds; `last_reply` is what the next hop or we said."""

    id: int
    address: str
    state: RecipientState = RecipientState.QUEUED
    attempts: int = 0
    next_attempt: float = 0.0
    last_reply: str = ""
    delay_notified: bool = False
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A message that is to be relayed. `id` is the queue id shown to people; `reverse_path` "" is the null path."""

    id: str
    reverse_path: str
    account: int
    created: float
    size: int
    recipients: tuple[QueueRecipient, ...]
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relay:
    """What `accept` puts into the queue. `account` is the submitter's (0: none, a bounce)."""

    queue_id: str
    reverse_path: str
    recipients: Sequence[tuple[str, dict[str, str]]]
    account: int = 0
    parameters: dict[str, str] = field(default_factory=dict)


class Queue(Protocol):
    """The durable queue. Times are epoch seconds given by the caller."""

    async def due(self, now: float, limit: int) -> list[QueueEntry]:
        """Entries with a QUEUED recipient that is due and that is not leased; leases them to the caller until `update` or
        a restart. Only the due recipients are to be tried."""

    async def next_due(self) -> float | None:
        """When the next recipient that is not leased becomes due."""

    async def update(
        self,
        entry: str,
        recipients: Sequence[QueueRecipient],
        *,
        bounce: "Bounce | None" = None,
        keep_lease: bool = False,
    ) -> None:
        """Record outcomes (recipients that are left out stay as they are) and end the lease, unless more outcomes follow.
        An entry whose recipients are all DELIVERED or FAILED is gone. What was put on hold meanwhile stays held. The
        bounce is accepted in the same transaction, also over quota. Raises NotFound (removed meanwhile), doing nothing."""

    async def entries(self) -> list[QueueEntry]: ...
    async def entry(self, entry: str) -> QueueEntry | None: ...
    async def content(self, entry: str, start: int = 0, length: int | None = None) -> bytes | None:
        """The message's octets."""

    async def retry(self, entry: str | None, now: float) -> int:
        """Make one entry (None: all) due now; returns how many recipients that concerns. Held ones stay held."""

    async def hold(self, entry: str) -> None:
        """Raises NotFound."""

    async def release(self, entry: str, now: float) -> None:
        """Raises NotFound."""

    async def remove(self, entry: str) -> None:
        """Without a bounce. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A delivery status notification on its way: into mailboxes here, or into the queue."""

    spool: Spool
    deliveries: Sequence[Delivery] = ()
    relay: Relay | None = None


class Store(Protocol):
    """One home of the store."""

    @property
    def changes(self) -> ChangeFeed: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def mail(self) -> Mail: ...
    @property
    def queue(self) -> Queue: ...

    def spool(self) -> Spool:
        """An empty spool, near where its octets will rest."""

    async def accept(
        self, spool: Spool, deliveries: Sequence[Delivery], relay: Relay | None = None, *, trace_id: str = ""
    ) -> None:
        """Take responsibility for one message: into mailboxes and the queue, as one transaction. When it returns, the
        message is on disk. An account that is gone is left out. Raises OverQuota, StoreUnavailable."""

    async def close(self) -> None:
        """Finish what was begun, then let go of everything."""
