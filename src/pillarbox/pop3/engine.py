"""Pop3Engine: one connection's POP3 server (RFC 1939). Conforms to `wire.engine.Engine`.

Only here exceptions become replies. Security: strangers feed this. Plaintext behind STLS is never run, no password is
taken outside of TLS, and whoever speaks HTTP or sends NUL is gone at once.
"""

from collections.abc import Callable

from pillarbox.pop3.errors import BadSyntax, Disconnect, Refused
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.pop3.policy import Policy
from pillarbox.pop3.registry import TABLE, State, load
from pillarbox.pop3.reply import err
from pillarbox.pop3.session import Session
from pillarbox.sasl.api import Credentials
from pillarbox.sasl.registry import fresh_nonce
from pillarbox.store.api import Store, StoreError
from pillarbox.store.faults import kind_of
from pillarbox.wire.engine import CLOSE, OCTETS, TLS, Link, TlsInfo
from pillarbox.wire.lines import LineBuffer, LineTooLong
from pillarbox.wire.outbox import Outbox

load("pillarbox.pop3.commands")

_HTTP = frozenset((b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"))
_TLS_HANDSHAKE = b"\x16\x03"  # the first octets of a client that starts TLS where STLS is expected
_MANY = 100  # how much more patience there is after login

_WRONG_STATE = {
    State.AUTHORIZATION: "Log in first",
    State.TRANSACTION: "That is possible before login only",
}


class Pop3Engine:
    """One POP3 connection. See `wire.engine.Engine` for the order of calls. `locks` is the one of the whole process."""

    __slots__ = ("_bad", "_commands", "_lines", "_running", "_stopping", "link", "out", "policy", "session", "want")

    def __init__(
        self,
        link: Link,
        store: Store,
        credentials: Credentials,
        policy: Policy | None = None,
        *,
        locks: MaildropLocks,
        nonce: Callable[[], str] = fresh_nonce,
    ) -> None:
        self.link = link
        self.policy = policy or Policy()
        self.out = Outbox()
        self.want = OCTETS
        self.session = Session(link, store, credentials, self.policy, self.out, locks, nonce, self._account_closed)
        self._lines = LineBuffer(bare_lf=True)  # people type into netcat
        self._running = False
        self._stopping = ""
        self._bad = 0
        self._commands = 0  # before login

    @property
    def timeout(self) -> float:
        """Seconds of silence until `timed_out`."""
        return self.policy.login_timeout if self.session.state is State.AUTHORIZATION else self.policy.timeout

    @property
    def backlog(self) -> int:
        """Octets received and not yet processed."""
        return len(self._lines)

    def connected(self) -> None:
        """Greet. No version, and no timestamp: APOP is not offered (its digest is MD5 over a password in the clear)."""
        self.out.write(b"+OK POP3 ready\r\n")

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer."""
        if self.want is TLS:
            self.want = CLOSE  # plaintext between STLS and the handshake: someone is in the middle
        elif self.want is OCTETS:
            self._lines.feed(octets)

    async def process(self) -> None:
        """Run what is complete."""
        self._running = True
        try:
            while self._lines.octets and self.want is OCTETS and not self._stopping and await self._step():
                await self.out.drain()
        except Disconnect as reason:
            self._close(str(reason))
        finally:
            self._running = False
        if self._stopping:
            self._close(self._stopping)

    def tls_started(self, tls: TlsInfo) -> None:
        """Begin anew, inside TLS (RFC 2595 §4)."""
        self.link.tls = tls
        self._lines.clear()
        self._bad = 0
        self.session.leak = None
        self.session.forget()
        if self.want is TLS:
            self.want = OCTETS

    def timed_out(self) -> None:
        """Autologout: the connection is closed without a word and without removing messages (RFC 1939 §3)."""
        if not self._running:
            self.want = CLOSE

    def disconnected(self) -> None:
        """The connection is gone: the maildrop is free for the next session at once."""
        self.want = CLOSE
        self.session.close()
        self._lines.clear()

    def shutting_down(self) -> None:
        """The server stops."""
        self._stop("[SYS/TEMP] The server is going down; come back in a moment")

    # One step.

    async def _step(self) -> bool:
        """Take one line off the buffer and do it; False when octets are missing."""
        session = self.session
        try:
            line = self._lines.take_line(self._limit())
        except LineTooLong:
            session.dialogue = None
            self._refuse_bad("The line is too long")
            return True
        if line is None:
            if self._lines.skipped > self.policy.skipped:
                raise Disconnect("The line is too long")
            return False
        if 0 in line:
            raise Disconnect("NUL is not allowed")
        try:
            if session.dialogue is not None:
                reply = await session.dialogue.line(line)
            else:
                reply = await self._command(line)
        except Exception as error:
            reply = self._failed(error)
        if session.then is TLS and len(self._lines):
            # RFC 2595 §4; what follows STLS in the clear may be anybody's
            self.link.emit("starttls_injection")
            raise Disconnect("Nothing may follow STLS before TLS")
        if reply:
            self.out.write(reply)
        self.want = session.then
        return True

    def _limit(self) -> int:
        """Octets that the next line may have."""
        if self.session.state is State.TRANSACTION:
            return self.policy.command_line
        start = self._lines.octets[:5]
        if start[:2] == _TLS_HANDSHAKE:
            self.link.emit("tls_without_stls")
            raise Disconnect("")
        return self.policy.sasl_line if self.session.dialogue or start.upper() == b"AUTH " else self.policy.command_line

    async def _command(self, line: bytes) -> bytes:
        session = self.session
        if session.state is State.AUTHORIZATION:
            self._commands += 1
            if self._commands > self.policy.commands_before_login:
                raise Disconnect("Too many commands without a login")
        name, _, argument = line.partition(b" ")
        entry = TABLE.get(name) or TABLE.get(name.upper())
        leak, self.session.leak = self.session.leak, None
        if entry is None and leak is not None:  # the client did not wait for our refusal
            self.session.leak = leak if leak.line(line) else None
            if leak.told:
                self.link.emit("password_in_clear", command="AUTH")
        if entry is None:
            if session.state is State.AUTHORIZATION and (name.upper() in _HTTP or b" HTTP/" in line):
                self.link.emit("http_on_mail_port")
                raise Disconnect("")
            raise BadSyntax("There is no such command")
        self.link.commands[entry.name] += 1
        if session.state not in entry.states:
            raise Refused(_WRONG_STATE[session.state])
        if argument and entry.bare and argument.strip():
            raise BadSyntax("The command takes no argument")
        return await entry.run(session, argument)

    def _failed(self, error: Exception) -> bytes:
        """What an exception of a command means to the client. Raises what ends the connection."""
        match error:
            case Refused():
                return err(error.text, error.code)
            case BadSyntax():
                self._refuse_bad(str(error))
                return b""
            case StoreError():
                self.link.emit("store_failed", fault=kind_of(error), error=str(error))
                return err("The server cannot reach the mail just now; try again in a minute", "SYS/TEMP")
            case Disconnect() | ConnectionError():
                raise error
        self.link.emit("internal_error", error=error)
        raise Disconnect("[SYS/TEMP] Something went wrong here, and it was written down; please try again")

    def _refuse_bad(self, text: str) -> None:
        """Answer a bad command; too many end the connection."""
        self._bad += 1
        if self._bad >= self.policy.bad_commands * (1 if self.session.state is State.AUTHORIZATION else _MANY):
            raise Disconnect("Too many bad commands")
        self.out.write(err(text))

    # The end.

    def _account_closed(self) -> None:
        self._stop("[SYS/PERM] The account was closed or its password changed; log in again")

    def _stop(self, text: str) -> None:
        """Say goodbye as soon as no command is running."""
        self._stopping = text
        if not self._running and self.want is OCTETS:
            self._close(text)
            self.out.ring()

    def _close(self, text: str) -> None:
        if self.want is not CLOSE:
            if text:
                self.out.write(err(text))
            self.want = CLOSE
