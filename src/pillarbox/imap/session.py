"""Session: the state of one IMAP connection, as commands see it (RFC 9051 §3)."""

from collections.abc import Callable

from pillarbox.imap.errors import Disconnect, Refused
from pillarbox.imap.framing import Framer
from pillarbox.imap.policy import Policy
from pillarbox.imap.registry import AUTHENTICATED, NOT_AUTHENTICATED, SELECTED, State
from pillarbox.imap.response import Completion, no
from pillarbox.imap.view import Selected
from pillarbox.mail.mime import Part
from pillarbox.sasl.api import Credentials, Identity
from pillarbox.sasl.leaked import Leak
from pillarbox.store.api import Mail, Store
from pillarbox.store.changes import AccountClosed, Change, MailboxesChanged
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Link
from pillarbox.wire.outbox import Outbox


def _nobody() -> None:
    """Nothing to release."""


class Session:
    """What one connection has reached. `enabled` holds the names given to ENABLE (upper case) and "CONDSTORE" by any
    enabling command; `clock` tells epoch seconds; `tag` is the running command's, and
    `ahead` is what the client sent behind it: a command that answers further ones moves both on; `tree` are the parts of the
    large message that was fetched last, by its permanent id;
    `uploads` are the messages of the running APPEND, and what it says of the last one is at `options_at`;
    `farewell` is set when the session has to end."""

    __slots__ = (
        "_stop_watching", "ahead", "clock", "credentials", "deleting", "enabled", "failed_logins", "farewell", "identity",
        "idling", "leak", "link", "nonce", "on_farewell", "options_at", "out", "policy", "selected", "store", "tag", "tree",
        "uploads",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        store: Store,
        credentials: Credentials,
        policy: Policy,
        out: Outbox,
        ahead: Framer,
        nonce: Callable[[], str],
        clock: Callable[[], float],
        on_farewell: Callable[[], None],
    ) -> None:
        self.link = link
        self.store = store
        self.credentials = credentials
        self.policy = policy
        self.out = out
        self.ahead = ahead
        self.nonce = nonce
        self.clock = clock
        self.tag = ""
        self.tree: tuple[str, Part] | None = None
        self.on_farewell = on_farewell
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self.enabled: set[str] = set()
        self.uploads: list[Spool] = []
        self.options_at = 0
        self.leak: Leak | None = None  # what follows an AUTHENTICATE that was refused in the clear
        self.idling = False
        self.deleting = 0  # the mailbox that this session deletes right now
        self.farewell = ""
        self.failed_logins = 0
        self._stop_watching: Callable[[], None] = _nobody

    @property
    def state(self) -> State:
        """Where the session stands."""
        if self.identity is None:
            return NOT_AUTHENTICATED
        return AUTHENTICATED if self.selected is None else SELECTED

    @property
    def account(self) -> int:
        """The account that is logged in."""
        assert self.identity is not None
        return self.identity.account

    @property
    def mail(self) -> Mail:
        """The store's mailboxes and messages."""
        return self.store.mail

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox, for commands of the selected state."""
        assert self.selected is not None
        return self.selected

    @property
    def writable(self) -> Selected:
        """The selected mailbox. Raises Refused when it was opened by EXAMINE."""
        if self.mailbox.read_only:
            raise Refused("The mailbox was opened read-only: use SELECT", "CANNOT")
        return self.mailbox

    @property
    def rev2(self) -> bool:
        """The client speaks IMAP4rev2."""
        return "IMAP4REV2" in self.enabled

    @property
    def utf8(self) -> bool:
        """Names and strings are UTF-8 in both directions."""
        return "IMAP4REV2" in self.enabled or "UTF8=ACCEPT" in self.enabled

    def log_in(self, identity: Identity, mechanism: str) -> None:
        """The client has proved who it is."""
        self.identity = identity
        self._stop_watching = self.store.changes.watch(identity.account, self._changed)
        self.link.emit("login", mechanism=mechanism, account=identity.address)

    def login_failed(self, mechanism: str) -> Completion:
        """The client has not proved who it is; whom it named is not told: it may be a password, typed into the wrong field.

        Raises Disconnect after too many tries.
        """
        self.link.emit("login_failed", mechanism=mechanism)
        self.failed_logins += 1
        if self.failed_logins >= self.policy.limits.failed_logins:
            raise Disconnect("Too many failed logins")
        return no("The name or the password is wrong", "AUTHENTICATIONFAILED")

    def enable_condstore(self) -> None:
        """The client showed that it knows CONDSTORE; the first time, it is told where it stands (RFC 7162 §3.1)."""
        if "CONDSTORE" in self.enabled:
            return
        self.enabled.add("CONDSTORE")
        if self.selected is not None:
            self.selected.condstore = True
            self.out.write(f"* OK [HIGHESTMODSEQ {self.selected.view.highestmodseq}] Highest\r\n".encode())

    def catch_up(self, *, expunge: bool) -> None:
        """Send what the selected mailbox owes."""
        if self.selected is not None:
            self.selected.catch_up(self.out, expunge=expunge)

    async def settle_recent(self) -> None:
        """Messages that this session was told to be recent are recent to no later one (RFC 3501 §2.3.2)."""
        selected = self.selected
        if selected is not None and selected.recent_used:
            selected.recent_used = False
            await self.mail.claim_recent(self.account, selected.view.mailbox)

    async def leave(self) -> None:
        """Close the selected mailbox."""
        await self.settle_recent()
        self.selected = None

    def end(self) -> None:
        """Let go of everything."""
        self._stop_watching()
        self._stop_watching = _nobody
        self.selected = None
        self.tree = None
        self.identity = None
        self.idling = False
        self.discard_uploads()

    def discard_uploads(self) -> None:
        """Forget the messages of an APPEND."""
        for spool in self.uploads:
            spool.discard()
        self.uploads.clear()

    def _changed(self, change: Change) -> None:
        """Something in the account changed. Only IDLE is told at once; all others compare when a command ends."""
        if isinstance(change, AccountClosed):
            self._end_soon("Your account was changed: log in again")
        elif self.selected is None:
            return
        elif isinstance(change, MailboxesChanged):
            mailbox = self.selected.view.mailbox
            if mailbox in change.deleted and mailbox != self.deleting:
                self._end_soon("The selected mailbox was deleted")
        elif self.idling:
            self.selected.catch_up(self.out, expunge=True)
            if self.out.size:
                self.out.ring()

    def _end_soon(self, text: str) -> None:
        self.farewell = text
        self.on_farewell()
