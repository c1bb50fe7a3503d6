"""Session: the state of one POP3 connection, as commands see it (RFC 1939 §3)."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from pillarbox.pop3.errors import Disconnect, Refused
from pillarbox.pop3.maildrop import Maildrop, MaildropLocks
from pillarbox.pop3.policy import Policy
from pillarbox.pop3.registry import State
from pillarbox.pop3.reply import ok
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Credentials, Identity
from pillarbox.sasl.leaked import Leak
from pillarbox.store.api import Store
from pillarbox.store.changes import AccountClosed, Change
from pillarbox.wire.engine import Link, Want
from pillarbox.wire.outbox import Outbox

T = TypeVar("T")

NO_TLS = "Passwords are accepted inside TLS only: use port 995, or STLS first"


class Dialogue(Protocol):
    """A command that goes on with the client's next lines (AUTH)."""

    async def line(self, line: bytes) -> bytes:
        """Take one line, without its line end, and reply; ends itself by `session.dialogue = None`."""


def _nobody() -> None:
    """Nothing to release."""


class Session:
    """What one connection has reached. `state` is where it stands; `then` is what the connection does after the reply;
    `on_closed` is called when the account was removed or its password changed."""

    def __init__(
        self,
        link: Link,
        store: Store,
        credentials: Credentials,
        policy: Policy,
        out: Outbox,
        locks: MaildropLocks,
        nonce: Callable[[], str],
        on_closed: Callable[[], None],
    ) -> None:
        self.link = link
        self.store = store
        self.credentials = credentials
        self.policy = policy
        self.out = out
        self.nonce = nonce
        self.username: str | None = None
        self.dialogue: Dialogue | None = None
        self.leak: Leak | None = None  # what follows an AUTH that was refused in the clear
        self.identity: Identity | None = None
        self.failed_logins = 0
        self.state = State.AUTHORIZATION
        self.then = Want.OCTETS
        self._drop: Maildrop | None = None
        self._locks = locks
        self._on_closed = on_closed
        self._stop_watching: Callable[[], None] = _nobody

    @property
    def maildrop(self) -> Maildrop:
        """The open maildrop, for commands of the TRANSACTION state."""
        assert self._drop is not None
        return self._drop

    def forget(self) -> None:
        """TLS has begun: nothing that was said before it counts (RFC 2595 §4)."""
        self.username = None
        self.dialogue = None
        self.then = Want.OCTETS

    async def login(self, mechanism: str, identity: Awaitable[Identity]) -> bytes:
        """Await who this is, then open the maildrop."""
        return await self.enter(mechanism, await self.decide(mechanism, identity))

    async def decide(self, mechanism: str, decision: Awaitable[T]) -> T:
        """Await a decision of `sasl` or `access`; refusals have always the same words (RFC 3206)."""
        try:
            return await decision
        except AuthenticationFailed:
            self.link.emit("login_failed", mechanism=mechanism)
            raise self._failure("Wrong name or password", "AUTH") from None
        except AuthenticationUnavailable as error:
            self.link.emit("login_failed", mechanism=mechanism, reason=str(error))
            raise self._failure(str(error), "SYS/TEMP") from None

    def _failure(self, text: str, code: str) -> Exception:
        self.failed_logins += 1
        if self.failed_logins >= self.policy.failed_logins:
            return Disconnect(f"[{code}] {text}")
        return Refused(text, code)

    async def enter(self, mechanism: str, who: Identity) -> bytes:
        """Lock and open the maildrop. Raises Refused when another session has it, StoreError."""
        if not self._locks.acquire(who.account, self):
            self.link.emit("maildrop_in_use", account=who.address)
            raise Refused("Another program is reading this mailbox by POP3; try again when it is done", "IN-USE")
        self.identity = who
        try:
            self._drop = await Maildrop.open(self.store, who.account)
        except BaseException:
            self.close()
            raise
        self.state = State.TRANSACTION
        self._stop_watching = self.store.changes.watch(who.account, self._changed)
        self.link.emit("login", mechanism=mechanism, account=who.address)
        return ok(f"{self._drop.count} messages")

    def _changed(self, change: Change) -> None:
        if isinstance(change, AccountClosed):
            self._on_closed()

    def close(self) -> None:
        """Give the maildrop back. What was marked as deleted stays."""
        if self.identity is not None:
            self._locks.release(self.identity.account, self)
            self.identity = None
        self._stop_watching()
        self._stop_watching = _nobody
        self._drop = None
        self.state = State.AUTHORIZATION
        self.dialogue = None
