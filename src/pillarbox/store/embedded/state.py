"""What the embedded home knows in memory of the last commit: the directory, mailboxes with their counters, not messages.

Invariant: only `Batch.settle`, after a commit, changes these values; so a failed commit leaves them as they were.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import apsw

from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import (
    Account,
    Alias,
    MailboxInfo,
    NoSuchAccount,
    NoSuchMailbox,
    PasswordHashes,
)
from pillarbox.store.changes import ChangeFeed
from pillarbox.store.embedded.schema import query
from pillarbox.store.view import MailboxView


@dataclass(slots=True, eq=False)
class Mailbox:
    """One mailbox as of the last commit. `recent`: see `Mail.claim_recent`."""

    id: int
    account: int
    name: str
    special_use: str
    object_id: str
    uidvalidity: int
    uidnext: int = 1
    modseq: int = 1
    recent: int = 1
    messages: int = 0
    octets: int = 0
    view: "weakref.ref[MailboxView] | None" = None
    view_modseq: int = 0  # commits up to here were in the view when it was read
    loading: "list[object] | None" = None  # steps that were committed while the view is being read
    unsaved: int = 0  # what opening must read beyond the packed state, in rows

    def loaded(self) -> MailboxView | None:
        """The view, if it is in memory."""
        return None if self.view is None else self.view()


@dataclass(slots=True, eq=False)
class Owner:
    """One account and all that it owns."""

    account: Account
    key: str
    hashes: PasswordHashes
    modseq: int = 1
    mailboxes: dict[int, Mailbox] = field(default_factory=dict)
    names: dict[str, Mailbox] = field(default_factory=dict)
    subscriptions: set[str] = field(default_factory=set)
    octets: int = 0
    messages: int = 0

    def named(self, name: str) -> Mailbox:
        """The mailbox of this canonical name. Raises NoSuchMailbox."""
        found = self.names.get(name)
        if found is None:
            raise NoSuchMailbox(f"there is no mailbox called {name}")
        return found

    def by_id(self, mailbox: int) -> Mailbox:
        """Raises NoSuchMailbox."""
        found = self.mailboxes.get(mailbox)
        if found is None:
            raise NoSuchMailbox("this mailbox does not exist any more")
        return found

    def info(self, mailbox: Mailbox) -> MailboxInfo:
        """A mailbox as LIST shows it."""
        subscribed = mailbox.name in self.subscriptions
        return MailboxInfo(
            mailbox.id, mailbox.name, mailbox.special_use, subscribed, mailbox.object_id, mailbox.uidvalidity
        )


class State:
    """Everything of one store that is held in memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.changes = ChangeFeed()
        self.domains: set[str] = set()
        self.owners: dict[int, Owner] = {}
        self.keys: dict[str, Owner] = {}
        self.aliases: dict[str, Alias] = {}
        self.counters = {"account": 0, "mailbox": 0, "uidvalidity": 0}
        self.last_blob = 0
        self.coming: set[int] = set()  # blobs of large messages, whose ids are given long before their commit
        self.recent_claims: set[Mailbox] = set()  # to be written with the next commit

    def owner(self, account: int) -> Owner:
        """Raises NoSuchAccount."""
        found = self.owners.get(account)
        if found is None:
            raise NoSuchAccount("this account does not exist any more")
        return found

    def mailbox(self, account: int, mailbox: int) -> Mailbox:
        """Raises NoSuchAccount, NoSuchMailbox."""
        return self.owner(account).by_id(mailbox)

    def next(self, counter: str) -> int:
        """A number that was never given before; `Batch` makes that last."""
        self.counters[counter] += 1
        return self.counters[counter]

    def next_uidvalidity(self) -> int:
        """Never given twice in a store, so a name that comes back has another one (RFC 9051 §2.3.1.1)."""
        value = max(self.counters["uidvalidity"] + 1, int(self.clock()))
        self.counters["uidvalidity"] = value
        return value

    def next_blob(self) -> int:
        """The id of the next blob."""
        self.last_blob += 1
        return self.last_blob


def load(connection: apsw.Connection, state: State) -> None:
    """Fill an empty state from the index."""
    state.counters.update(query(connection, "SELECT name, value FROM counters"))
    state.domains.update(name for (name,) in connection.execute("SELECT name FROM domains"))
    load_aliases(connection, state)
    load_accounts(connection, state)
    _load_mailboxes(connection, state)
    state.last_blob = connection.execute("SELECT max(id) FROM blobs").get or 0


def load_aliases(connection: apsw.Connection, state: State) -> None:
    """The aliases only."""
    for key, address, targets in connection.execute("SELECT key, address, targets FROM aliases"):
        state.aliases[key] = Alias(address, tuple(targets.split("\n")) if targets else ())


def load_accounts(connection: apsw.Connection, state: State) -> None:
    """The accounts only, without their mailboxes."""
    for row in connection.execute(
        "SELECT id, key, address, disabled, quota, created, argon2, scram_salt, scram_iterations, scram_stored_key, "
        "scram_server_key, modseq FROM accounts"
    ):
        number, key, address, disabled, quota, created, argon2, salt, iterations, stored, server, modseq = row
        hashes = PasswordHashes(argon2, ScramKeys(salt, iterations, stored, server))
        owner = Owner(Account(number, address, bool(disabled), quota, created), key, hashes, modseq)
        state.owners[number] = state.keys[key] = owner


def _load_mailboxes(connection: apsw.Connection, state: State) -> None:
    for number, account, *rest in connection.execute(
        "SELECT id, account, name, special_use, object_id, uidvalidity, uidnext, modseq, recent, messages, octets "
        "FROM mailboxes"
    ):
        owner = state.owners[account]
        mailbox = Mailbox(number, account, *rest)
        owner.mailboxes[number] = owner.names[mailbox.name] = mailbox
        owner.modseq = max(owner.modseq, mailbox.modseq)
        owner.octets += mailbox.octets
        owner.messages += mailbox.messages
    for account, name in connection.execute("SELECT account, name FROM subscriptions"):
        state.owners[account].subscriptions.add(name)
