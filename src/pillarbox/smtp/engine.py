"""The SMTP server's engine (RFC 5321, RFC 6409): octets in, replies out, decisions asked from a `MailService`.

It cuts lines and message octets out of the stream, checks what the registry says about a command, runs it, and turns
every outcome into a reply. It conforms to `wire.engine.Engine`.

Security: strangers feed this. A line holds no control characters, or the connection ends; a line over the limit is skipped;
plaintext that follows STARTTLS is never looked at; HTTP is hung up on (ALPACA); replies never repeat what was sent.
"""

import re

from pillarbox.mail.status import Refused, Reply
from pillarbox.sasl import registry as sasl
from pillarbox.sasl.api import Credentials
from pillarbox.sasl.leaked import Leak
from pillarbox.smtp import commands, extensions
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.registry import CommandEntry, When
from pillarbox.smtp.service import Client, MailService
from pillarbox.smtp.session import Session, StartExchange
from pillarbox.wire.engine import CLOSE, OCTETS, TLS, Link, TlsInfo
from pillarbox.wire.lines import LineBuffer, LineTooLong
from pillarbox.wire.outbox import Outbox

COMMANDS = commands.COMMANDS
EXTENSIONS = extensions.EXTENSIONS

_LINE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*\r\n")
_CLEAN = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")

_HTTP = frozenset(b"GET POST HEAD PUT DELETE OPTIONS CONNECT TRACE PATCH PRI".split())

_SYNTAX = frozenset((500, 501, 502, 503, 504, 555))

_CONTROL = Reply(500, "5.5.2", "Commands hold no control characters and end with CRLF; closing the connection")
_TOO_LONG = Reply(500, "5.5.6", "The line is too long")
_UNKNOWN = Reply(500, "5.5.1", "There is no such command")
_ABSENT = Reply(502, "5.5.1", "This command is not available here")
_NOT_ASCII = Reply(501, "5.5.2", "Characters outside of ASCII are not allowed here")
_NOT_UTF8 = Reply(501, "5.5.2", "The command is not valid UTF-8")
_NOT_MAIL = Reply(500, "5.5.1", "This is a mail server; closing the connection")
_NEEDS_TLS = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
_NEEDS_LOGIN = Reply(530, "5.7.0", "Authentication required")
_GREET_FIRST = Reply(503, "5.5.1", "Say EHLO first")
_NESTED = Reply(503, "5.5.1", "Not inside of a transaction")
_NO_MAIL = Reply(503, "5.5.1", "Say MAIL first")
_NOT_PIPELINED = Reply(503, "5.5.1", "Nothing may follow this command in the same breath; closing the connection")
_TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors; closing the connection")
_TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without a message; closing the connection")
_BUG = Reply(451, "4.3.0", "Something went wrong here; try again later")
_TIMEOUT = Reply(421, "4.4.2", "This took too long; closing the connection")
_STOPPING = Reply(421, "4.3.2", "The server is stopping; try again soon")
_CLOSED = Reply(421, "4.7.0", "The account was closed or its password changed; log in again")


class SmtpEngine:
    """One server-side SMTP session. `start_exchange` begins SASL exchanges."""

    def __init__(
        self,
        link: Link,
        service: MailService,
        policy: Policy,
        credentials: Credentials | None = None,
        *,
        start_exchange: StartExchange = sasl.exchange,
    ) -> None:
        self.out = Outbox()
        self.want = OCTETS
        self._buffer = LineBuffer()
        self._link = link
        self._overlong = False
        self._running = False
        self._leak: Leak | None = None
        self._farewell: Reply | None = None
        self._session = Session(Client(link), policy, service, credentials, start_exchange, self._account_closed)

    # --- what the network calls ---------------------------------------------------------------------------------

    @property
    def timeout(self) -> float:
        """See Engine."""
        policy = self._session.policy
        return policy.data_timeout if self._session.reader is not None else policy.command_timeout

    @property
    def backlog(self) -> int:
        """See Engine."""
        return len(self._buffer)

    def connected(self) -> None:
        """Greet, with the host's name and nothing that tells the version."""
        self._say(Reply(220, "", f"{self._session.policy.hostname} ESMTP ready"))

    def receive(self, octets: bytes) -> None:
        """See Engine. Octets that come after the engine wanted TLS or the end are not for it."""
        if self.want is OCTETS:
            self._buffer.feed(octets)

    async def process(self) -> None:
        """See Engine."""
        self._running = True
        try:
            while self.want is OCTETS:
                if self._session.reader is not None:
                    if not await self._read_message():
                        break
                else:
                    line = self._next_line()
                    if line is None:
                        break
                    await self._answer(line)
                if self._farewell is not None:
                    self._part(self._farewell)
                await self.out.drain()
        finally:
            self._running = False

    def tls_started(self, tls: TlsInfo) -> None:
        """See Engine: the session starts anew (RFC 3207 §4.2)."""
        self._buffer.clear()
        self._session.forget()
        self._leak = None
        self._link.tls = tls
        self.want = OCTETS

    def timed_out(self) -> None:
        """See Engine."""
        self._end(_TIMEOUT)

    def disconnected(self) -> None:
        """See Engine: an unfinished message is forgotten."""
        self._session.forget()
        self.want = CLOSE

    def shutting_down(self) -> None:
        """See Engine. A message that is on its way may still come in."""
        self._farewell = _STOPPING
        if not self._running:
            self._part(_STOPPING)
            self.out.ring()

    # --- octets to lines and messages ---------------------------------------------------------------------------

    def _next_line(self) -> bytes | None:
        """The next command without its CRLF, or None: it is not there yet, or the connection ends."""
        octets = self._buffer.octets
        limit = self._line_limit()
        while octets:
            if not self._overlong:
                found = _LINE.match(octets, 0, limit)
                if found is not None:
                    return self._buffer.take(found.end())[:-2]
                clean = _CLEAN.match(octets, 0, limit)
                end = clean.end() if clean is not None else 0
                if end < min(len(octets), limit) and bytes(octets[end : end + 2]) not in (b"\r", b"\r\n"):
                    self._end(_CONTROL)
                    return None
                if len(octets) <= limit:
                    return None
            self._overlong = True
            try:
                if self._buffer.take_line(limit) is None:
                    if self._buffer.skipped > self._session.policy.max_skipped:
                        self._end(_TOO_MANY_ERRORS)
                    return None
            except LineTooLong:
                self._overlong = False
                self._session.continuation = None
                self._refuse(_TOO_LONG)
                if self.want is not OCTETS:
                    return None
        return None

    def _line_limit(self) -> int:
        session = self._session
        return session.policy.max_auth_line if session.can_authenticate else session.policy.max_command

    async def _read_message(self) -> bool:
        """Give what came to the reader; False when it wants more."""
        session = self._session
        reader, when_read = session.reader, session.when_read
        assert reader is not None
        assert when_read is not None
        rest = reader.feed(self._buffer.take(len(self._buffer)))
        if rest is None:
            return False
        self._buffer.feed(rest)
        session.reader = session.when_read = None
        try:
            self._say(await when_read())
        except Refused as refused:
            self._link.emit("message_refused", reply=str(refused.reply))
            self._refuse(refused.reply)
        except Exception as bug:
            self._confess(bug)
        self._leave_if_asked()
        return True

    # --- lines to replies ---------------------------------------------------------------------------------------

    async def _answer(self, line: bytes) -> None:
        session = self._session
        try:
            if session.continuation is not None:
                continuation, session.continuation = session.continuation, None
                self._say(await continuation(line))
            elif (reply := await self._run(line)) is not None:
                self._say(reply)
        except Refused as refused:
            self._refuse(refused.reply)
        except Exception as bug:
            self._confess(bug)
        self._leave_if_asked()

    async def _run(self, line: bytes) -> Reply | None:
        """Find the command, check that it is in order, run it. Raises Refused."""
        session = self._session
        session.commands += 1
        if session.commands > session.policy.max_commands:
            session.leaving = True
            raise Refused(_TOO_MANY_COMMANDS)
        verb, _, octets = line.partition(b" ")
        verb = verb.upper()
        entry = COMMANDS.get(verb)
        leak, self._leak = self._leak, None
        if entry is None:
            if leak is not None and leak.line(line):  # the client did not wait for our refusal
                self._leak = leak
            if verb in _HTTP:
                session.leaving = True
                self._link.emit("http_on_mail_port")
                raise Refused(_NOT_MAIL)
            raise Refused(_UNKNOWN)
        self._link.commands[entry.verb] += 1
        if len(line) + 2 > session.policy.max_command and verb != b"AUTH":
            raise Refused(_TOO_LONG)
        self._check_order(entry, octets)
        try:
            arguments = octets.decode("utf-8" if entry.utf8 else "ascii").strip(" \t")
        except UnicodeDecodeError:
            raise Refused(_NOT_UTF8 if entry.utf8 else _NOT_ASCII) from None
        return await entry.command.parse(arguments).run(session)

    def _check_order(self, entry: CommandEntry, octets: bytes) -> None:
        """Whether the command, with `octets` behind its verb, exists here and is in order. Raises Refused."""
        session = self._session
        if session.policy.submission and session.tls is None and not entry.before_tls:
            if entry.verb == "AUTH":
                self._link.emit("password_in_clear", command="AUTH")
                mechanism, _, initial = octets.strip().partition(b" ")
                if session.credentials is not None:
                    self._leak = Leak(session.credentials, mechanism.decode("latin-1"), initial.strip())
            raise Refused(_NEEDS_TLS)  # RFC 3207 §4
        if entry.offered is not None and not entry.offered(session):
            raise Refused(_ABSENT)
        if entry.alone and self._buffer.octets:
            session.leaving = True
            self._link.emit("starttls_injection")
            raise Refused(_NOT_PIPELINED)
        when = entry.when
        if when is When.ANYTIME:
            return
        if not session.greeted:
            raise Refused(_GREET_FIRST)
        if entry.login and session.policy.submission and session.client.identity is None:
            raise Refused(_NEEDS_LOGIN)
        if when is When.BETWEEN and session.transaction is not None:
            raise Refused(_NESTED)
        if when is When.TRANSACTION and session.transaction is None:
            raise Refused(_NO_MAIL)

    def _say(self, reply: Reply) -> None:
        self.out.write(reply.encode())

    def _refuse(self, reply: Reply) -> None:
        """Say no; who makes too many mistakes is sent away."""
        session = self._session
        self._say(reply)
        if reply.code in _SYNTAX:
            session.errors += 1
        policy = session.policy
        if session.errors >= policy.max_errors or session.refused_recipients >= policy.max_refused_recipients:
            self._end(_TOO_MANY_ERRORS)

    def _confess(self, bug: Exception) -> None:
        """A bug of ours: the peer shall try again on a new connection."""
        self._link.emit("internal_error", error=bug)
        self._session.forget()
        self._end(_BUG)

    def _leave_if_asked(self) -> None:
        if self._session.leaving:
            self.want = CLOSE
        elif self._session.starting_tls:
            self._session.starting_tls = False
            self.want = TLS

    def _account_closed(self) -> None:
        """The account that is logged in was closed, or its password changed: not even a message that is on its way counts."""
        self._farewell = _CLOSED
        if not self._running:
            self._end(_CLOSED)
            self.out.ring()

    def _part(self, farewell: Reply) -> None:
        if self._session.reader is None or farewell is _CLOSED:
            self._end(farewell)

    def _end(self, reply: Reply) -> None:
        if self.want is not CLOSE:
            self._link.emit("hung_up", reply=str(reply))
            self._say(reply)
            self.want = CLOSE
            self._session.reset()
