"""What the memory home keeps: accounts, mailboxes, messages, and the commit that tells everyone."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pillarbox.mail.summary import Summary
from pillarbox.store.api import (
    DEFAULT_MAILBOXES,
    Account,
    Alias,
    MailboxInfo,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
    PasswordHashes,
)
from pillarbox.store.changes import Change, ChangeFeed, FlagsChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.flags import Flags
from pillarbox.store.names import mailbox_name, parents
from pillarbox.store.view import MailboxView


@dataclass(frozen=True, slots=True)
class Message:
    """What is kept of one message beside what its mailbox's view holds."""

    octets: bytes
    summary: Summary
    email_id: str
    thread_id: str
    savedate: int
    trace_id: str
    filed_by_server: bool = False

    def copied(self, savedate: int) -> "Message":
        """The same message as it enters another mailbox by someone's own hand (so not filed by the server)."""
        return replace(self, savedate=savedate, filed_by_server=False)


@dataclass(slots=True)
class Mailbox:
    """One mailbox: its view, its messages by UID, what was expunged and when (modseq)."""

    view: MailboxView
    special_use: str
    messages: dict[int, Message] = field(default_factory=dict)
    tombstones: list[tuple[int, int]] = field(default_factory=list)
    recent: int = 1

    def add(self, message: Message, flags: Flags, modseq: int, internaldate: int) -> int:
        """One message more; returns its UID."""
        uid = self.view.uidnext
        self.view.add(uid, flags, modseq, len(message.octets), internaldate)
        self.messages[uid] = message
        return uid

    def holds(self, message_id: str) -> bool:
        """Whether a message with this Message-ID is here; one without ("") is like no other."""
        return bool(message_id) and any(m.summary.message_id == message_id for m in self.messages.values())

    def remove(self, uids: Sequence[int], modseq: int) -> None:
        """These messages go; their UIDs are remembered."""
        self.view.remove(uids, modseq)
        for uid in uids:
            del self.messages[uid]
            self.tombstones.append((modseq, uid))


@dataclass(slots=True)
class AccountState:
    """One account and all that it owns."""

    account: Account
    hashes: PasswordHashes
    modseq: int = 1
    mailboxes: dict[int, Mailbox] = field(default_factory=dict)
    subscriptions: set[str] = field(default_factory=set)
    octets: int = 0
    messages: int = 0

    def next_modseq(self) -> int:
        """The modseq of the commit that is being made."""
        self.modseq += 1
        return self.modseq

    def named(self, name: str) -> Mailbox:
        """The mailbox of this name. Raises NoSuchMailbox."""
        found = self.find(name)
        if found is None:
            raise NoSuchMailbox(f"there is no mailbox called {name}")
        return found

    def find(self, name: str) -> Mailbox | None:
        """The mailbox of this (canonical) name."""
        return next((m for m in self.mailboxes.values() if m.view.name == name), None)

    def by_id(self, mailbox: int) -> Mailbox:
        """Raises NoSuchMailbox."""
        found = self.mailboxes.get(mailbox)
        if found is None:
            raise NoSuchMailbox("this mailbox does not exist any more")
        return found

    def info(self, mailbox: Mailbox) -> MailboxInfo:
        """A mailbox as LIST shows it."""
        view = mailbox.view
        subscribed = view.name in self.subscriptions
        return MailboxInfo(view.mailbox, view.name, mailbox.special_use, subscribed, view.object_id, view.uidvalidity)

    def need_room(self, octets: int) -> None:
        """Raises OverQuota when so many octets more would be too many."""
        if self.account.quota and octets > 0 and self.octets + octets > self.account.quota:
            raise OverQuota(f"{self.account.address} has no room for {octets} octets more")


class State:
    """Everything that one memory home holds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.changes = ChangeFeed()
        self.domains: set[str] = set()
        self.accounts: dict[int, AccountState] = {}
        self.account_keys: dict[str, int] = {}
        self.aliases: dict[str, Alias] = {}
        self._last_account = 0
        self._last_mailbox = 0
        self._last_uidvalidity = 0

    def account(self, account: int) -> AccountState:
        """Raises NoSuchAccount."""
        found = self.accounts.get(account)
        if found is None:
            raise NoSuchAccount("this account does not exist any more")
        return found

    def new_account_id(self) -> int:
        """Never given twice."""
        self._last_account += 1
        return self._last_account

    def new_message(self, octets: bytes, summary: Summary, *, trace_id: str = "", filed: bool = False) -> Message:
        """A message that enters an account: it gets the identifiers that it keeps for ever (RFC 8474)."""
        return Message(octets, summary, new_id("M"), new_id("T"), int(self.clock()), trace_id, filed)

    def create_mailbox(self, owner: AccountState, name: str, special_use: str | None = None) -> Mailbox:
        """A mailbox and the parents it lacks. `name` is canonical and not taken; special_use None: as by default."""
        for parent in parents(name):
            if owner.find(parent) is None:
                self.create_mailbox(owner, parent)
        # RFC 9051 §2.3.1.1: a name that comes back must not come back with the same UIDVALIDITY.
        self._last_uidvalidity = max(self._last_uidvalidity + 1, int(self.clock()))
        self._last_mailbox += 1
        use = DEFAULT_MAILBOXES.get(name, "") if special_use is None else special_use
        view = MailboxView(owner.account.id, self._last_mailbox, name, self._last_uidvalidity, new_id("F"), use)
        mailbox = owner.mailboxes[self._last_mailbox] = Mailbox(view, use)
        return mailbox

    def delivery_mailbox(self, owner: AccountState, name: str) -> tuple[Mailbox, bool]:
        """Where a delivery goes, and whether it had to be created. Raises BadMailboxName."""
        name = mailbox_name(name)
        found = owner.find(name)
        return (found, False) if found is not None else (self.create_mailbox(owner, name), True)

    def publish(self, changes: Iterable[Change]) -> None:
        """After the commit: the journals first, so that whoever is told finds everything in its place."""
        told = list(changes)
        for change in told:
            if isinstance(change, MessagesAdded | FlagsChanged | MessagesExpunged):
                self.accounts[change.account].mailboxes[change.mailbox].view.record(change)
        for change in told:
            self.changes.publish(change)


def new_id(kind: str) -> str:
    """A permanent identifier: letters and digits, fit for OBJECTID and UIDL."""
    return kind + secrets.token_hex(12)
