"""ImapEngine: one connection's IMAP server (RFC 3501, RFC 9051). Conforms to `wire.engine.Engine`.

Only here exceptions become responses. Security: strangers feed this. Plaintext behind STARTTLS is never run; a client
that is not logged in has little room and few tries.
"""

import re
from collections.abc import Callable

from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.errors import BadSyntax, Disconnect, Refused
from pillarbox.imap.framing import Framer, Literal
from pillarbox.imap.grammar import TAG, Cursor
from pillarbox.imap.policy import CommandLimits, Policy
from pillarbox.imap.registry import TABLE, Dialogue, Entry, State, load
from pillarbox.imap.response import Completion, bad, no
from pillarbox.imap.session import Session
from pillarbox.sasl.api import Credentials
from pillarbox.store import api
from pillarbox.store.faults import kind_of
from pillarbox.wire.engine import BACKLOG_LIMIT, CLOSE, OCTETS, TLS, Link, TlsInfo
from pillarbox.wire.outbox import Outbox

load("pillarbox.imap.commands")

_START = re.compile(b"(" + TAG.pattern + rb") ((?:[Uu][Ii][Dd] )?[A-Za-z0-9]+)")
_REFUSALS: tuple[tuple[type[api.StoreError], Completion], ...] = (
    (api.NoSuchMailbox, no("There is no such mailbox", "NONEXISTENT")),
    (api.MailboxExists, no("There is a mailbox of that name already", "ALREADYEXISTS")),
    (api.TooManyMailboxes, no("There are as many as there may be: delete some first", "LIMIT")),
    (api.BadMailboxName, no("That name is not possible for a mailbox, or not for this command", "CANNOT")),
    (api.OverQuota, no("The account has no room for this: delete something first", "OVERQUOTA")),
    (api.StoreUnavailable, no("The server cannot keep anything just now: try again later", "UNAVAILABLE")),
    (api.StoreError, no("That is not possible", "CANNOT")),
)
"""What the store's errors are called here. Its own texts hold names, which responses never repeat."""
_BUG = no("Something went wrong here, and it was written down; please try again", "SERVERBUG")


class ImapEngine:
    """One IMAP connection. See `wire.engine.Engine` for the order of calls."""

    __slots__ = (
        "_bad",
        "_commands",
        "_dialogue",
        "_framer",
        "_refusal",
        "_running",
        "_stopping",
        "_waiting",
        "link",
        "out",
        "policy",
        "session",
        "want",
    )

    def __init__(
        self,
        link: Link,
        store: api.Store,
        credentials: Credentials,
        policy: Policy | None = None,
        *,
        nonce: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self.link = link
        self.policy = policy or Policy()
        self.out = Outbox()
        self.want = OCTETS
        self._framer = framer = Framer()
        self.session = Session(link, store, credentials, self.policy, self.out, framer, nonce, clock, self._farewell)
        self._dialogue: tuple[str, Entry, Dialogue] | None = None
        self._refusal: Completion | None = None
        self._running = False
        self._stopping = ""
        self._bad = 0
        self._commands = 0  # before login
        self._waiting = False  # for the rest of a command

    @property
    def timeout(self) -> float:
        """Seconds of silence until `timed_out`."""
        limits = self.policy.limits
        if self.session.identity is None:
            return limits.login_seconds
        return limits.still_here_seconds if self.session.idling else limits.idle_seconds

    @property
    def backlog(self) -> int:
        """Octets received and not yet processed; of a command that is not complete, never so many that reading stops."""
        return min(len(self._framer), BACKLOG_LIMIT) if self._waiting else len(self._framer)

    def connected(self) -> None:
        """Greet."""
        self.out.write(f"* OK [CAPABILITY {capabilities(self.session)}] Pillarbox is ready\r\n".encode())

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer."""
        if self.want is TLS:
            self.want = CLOSE  # plaintext between STARTTLS and the handshake: someone is in the middle
        elif self.want is OCTETS:
            self._framer.feed(octets)
            self._waiting = False

    async def process(self) -> None:
        """Run what is complete."""
        self._running = True
        try:
            while self.want is OCTETS and not self._stopping and len(self._framer) and await self._step():
                await self.out.drain()
        except Disconnect as reason:
            self._close(str(reason))
        except ConnectionError:
            raise
        except Exception as error:
            self._bug("engine", error)
        finally:
            self._running = False
        if self._stopping:
            self._close(self._stopping)

    def tls_started(self, tls: TlsInfo) -> None:
        """Begin anew, inside TLS (RFC 9051 §6.2.1)."""
        self.link.tls = tls
        self.session.leak = None
        self._framer.reset()
        self._bad = 0
        self.want = OCTETS

    def timed_out(self) -> None:
        """Silence for `timeout` seconds."""
        if self._running or self.want is not OCTETS:
            return
        if self.session.idling:
            self.out.write(b"* OK Still here\r\n")
        else:
            self._close("Nothing was heard for too long")

    def disconnected(self) -> None:
        """The connection is gone."""
        self.want = CLOSE
        self.session.end()
        self._framer.reset()

    def shutting_down(self) -> None:
        """The server stops."""
        self._stop("The server is going down: come back in a moment")

    # One step.

    @property
    def _limits(self) -> CommandLimits:
        limits = self.policy.limits
        return limits.before_login if self.session.identity is None else limits.after_login

    async def _step(self) -> bool:
        """Take one thing off the buffer and do it; False when octets are missing."""
        if self._dialogue is not None:
            return await self._dialogue_line(*self._dialogue)
        try:
            octets = self._framer.next(self._limits)
        except ConnectionError:
            raise
        except OSError as error:  # the spool has no room
            self.link.emit("spool_failed", fault=kind_of(error), error=str(error))
            self._framer.skip()
            self.session.discard_uploads()
            self._refusal = no("There is no room on the server's disk now", "UNAVAILABLE")
            return True
        if octets is None:
            self._waiting = True
            return False
        if isinstance(octets, Literal):
            await self._literal(octets)
        elif self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            self._finish(_tag(octets), None, refusal)
        else:
            await self._command(octets)
        return True

    async def _command(self, octets: bytes) -> None:
        """Parse and run a complete command."""
        tag, entry = "*", None
        leak, self.session.leak = self.session.leak, None
        try:
            tag, entry, cursor = self._recognise(octets)
            command = entry.command.parse(cursor)
            cursor.end()
        except BadSyntax as error:
            if leak is not None and entry is None and leak.line(octets):  # the client did not wait for our refusal
                self.session.leak = leak
            self.session.discard_uploads()
            self._finish(tag if entry else _tag(octets), entry, bad(str(error)))
            return
        self.session.tag = tag
        try:
            outcome = await command.run(self.session, self.out)
        except Exception as error:
            outcome = self._failed(entry.name, error)
        if self._settle(self.session.tag, entry, outcome):
            await self._keep_recent()

    def _recognise(self, octets: bytes) -> tuple[str, Entry, Cursor]:
        """The tag, the table's row and a cursor behind the name. Raises BadSyntax, also when the state is wrong."""
        start = _START.match(octets)
        if start is None:
            raise BadSyntax("Expected a tag and a command")
        tag, name = start.groups()
        entry = TABLE.get(name.upper())
        if entry is None:
            raise BadSyntax("There is no such command")
        self.link.commands[entry.name] += 1
        if self.session.state not in entry.states:
            raise BadSyntax(_wrong_state(entry.state, self.session.state))
        cursor = Cursor(octets, start.end(), utf8=self.session.utf8, by_uid=entry.by_uid)
        return tag.decode("ascii"), entry, cursor

    async def _dialogue_line(self, tag: str, entry: Entry, dialogue: Dialogue) -> bool:
        line = self._framer.take_line(self.policy.limits.before_login.command)
        if line is None:
            self._waiting = True
            return False
        try:
            outcome = await dialogue.line(line, self.session, self.out)
        except Exception as error:
            outcome = self._failed(entry.name, error)
        if outcome is not None:
            self._dialogue = None
            if self._settle(tag, entry, outcome):
                await self._keep_recent()
        return True

    def _failed(self, name: str, error: Exception) -> Completion:
        """What an exception of a command means to the client. Raises what ends the connection."""
        match error:
            case BadSyntax():
                return bad(str(error))
            case Refused():
                return no(error.text, error.code)
            case api.StoreError():
                if isinstance(error, api.StoreUnavailable):
                    self.link.emit("store_failed", command=name, fault=kind_of(error), error=str(error))
                return next(refusal for kind, refusal in _REFUSALS if isinstance(error, kind))
            case Disconnect() | ConnectionError():
                raise error
        self._bug(name, error)
        return _BUG

    def _bug(self, where: str, error: Exception) -> None:
        """What nobody foresaw: it is noted, and the connection ends, because its state cannot be trusted."""
        self.link.emit("internal_error", command=where, error=error)
        self._stopping = "Internal error"

    def _settle(self, tag: str, entry: Entry, outcome: Completion | Dialogue) -> bool:
        """A command ended, or goes on with the client's next line. Whether the store is to know what became recent."""
        if not isinstance(outcome, Completion):
            self._dialogue = (tag, entry, outcome)
            return False
        self.session.discard_uploads()
        self._finish(tag, entry, outcome)
        selected = self.session.selected
        return selected is not None and selected.recent_used

    async def _keep_recent(self) -> None:
        """Have the store know what became recent in this session."""
        try:
            await self.session.settle_recent()
        except api.StoreError as error:  # costs a few messages' \Recent, nothing else
            self.link.emit("recent_not_kept", error=str(error))

    def _finish(self, tag: str, entry: Entry | None, completion: Completion) -> None:
        """Send what is owed and the tagged response."""
        if completion.then is TLS and len(self._framer):
            raise Disconnect("Nothing may follow STARTTLS before TLS")
        if entry is not None:
            self.session.catch_up(expunge=entry.breaks_numbers)
        self.out.write(completion.encode(tag))
        self.want = completion.then
        if self.session.identity is None:
            self._count(bad=completion.status == "BAD")

    def _count(self, *, bad: bool) -> None:
        """A command before login. Raises Disconnect when there were enough."""
        limits = self.policy.limits
        self._commands += 1
        self._bad += bad
        if self._bad >= limits.bad_commands_before_login:
            raise Disconnect("Too many bad commands")
        if self._commands >= limits.commands_before_login and self.want is OCTETS:
            raise Disconnect("Too many commands without a login")

    # Literals.

    async def _literal(self, literal: Literal) -> None:
        """Decide where an announced literal goes, before the client sends it."""
        if self._refusal is None:
            try:
                await self._take(literal)
            except (BadSyntax, Refused, api.StoreError) as error:
                self._refusal = self._failed("literal", error)
            else:
                if literal.synchronising:
                    self.out.write(b"+ OK\r\n")
                return
        self.session.discard_uploads()
        if literal.synchronising:  # it will not be sent: the command ends here
            self._framer.drop()
            refusal, self._refusal = self._refusal, None
            self._finish(_tag(literal.prefix), None, refusal)
        elif literal.size > max(self._limits.literal, self.policy.max_message if self.session.identity else 0):
            raise Disconnect("The literal is too large")
        else:
            self._framer.skip()

    async def _take(self, literal: Literal) -> None:
        """Collect the literal, or let the command say where it goes. Raises BadSyntax, Refused, Disconnect, StoreError."""
        limits = self._limits
        if self._framer.literals > self.policy.limits.literals:
            raise Disconnect("Too many literals in one command")
        start = _START.match(literal.prefix)
        entry = TABLE.get(start[2].upper()) if start else None
        if entry is None:
            raise BadSyntax("There is no such command")
        if entry.private and self.link.tls is None:
            self.link.emit("password_in_clear", command=entry.name)
            raise Refused("Passwords are taken inside TLS only: use STARTTLS, or port 993", "PRIVACYREQUIRED")
        if entry.upload is not None and self.session.state in entry.states:
            assert start is not None
            cursor = Cursor(literal.prefix, start.end(), utf8=self.session.utf8)
            spool = await entry.upload(cursor, literal.size, self.session)
            if spool is not None:
                self.session.uploads.append(spool)
                self._framer.divert(spool)
                return
        if literal.size > limits.literal or len(literal.prefix) + literal.size > limits.command:
            if not literal.synchronising:
                raise Disconnect("The literal is too large")
            raise Refused("The literal is too large", "TOOBIG")
        self._framer.collect()

    # The end.

    def _farewell(self) -> None:
        self._stop(self.session.farewell)

    def _stop(self, text: str) -> None:
        """Say goodbye as soon as no command is running."""
        self._stopping = text
        if not self._running and self.want is OCTETS:
            self._close(text)
            self.out.ring()

    def _close(self, text: str) -> None:
        if self.want is not CLOSE:
            self.out.write(f"* BYE {text}\r\n".encode())
            self.want = CLOSE


def _wrong_state(allowed: State, state: State) -> str:
    """Why a command is not allowed now."""
    if state is State.NOT_AUTHENTICATED:
        return "Log in first"
    return "You are logged in already" if allowed is State.NOT_AUTHENTICATED else "Select a mailbox first"


def _tag(octets: bytes) -> str:
    """The tag of a command that is not understood; "*" when it has none.

    A line of one word has none: it may be the secret of a client that did not see AUTHENTICATE refused.
    """
    found = TAG.match(octets)
    return found[0].decode("ascii") if found is not None and octets[found.end() : found.end() + 1] == b" " else "*"
