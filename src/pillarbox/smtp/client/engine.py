"""The SMTP client engine (RFC 5321, 3207, 2920, 4954, 1870, 6152, 6531): one session with one server, any number of messages.

    client.connected(tls or None)
    loop: send client.out.take(), look at client.want:
        OCTETS    client.receive(octets), or client.lost(text) when client.timeout passed or the line broke
        TLS       start it, then client.tls_started(info); or give up
        READY     client.send(transaction), or client.quit()
        BODY      client.body(chunk) ..., then client.end_of_body()
        CLOSED    close the connection; client.failure says why the session ended, None after QUIT

Security: any server on the internet feeds this. Only `out`, `want`, `failure` and outcomes come out; nothing raises on
any octets. Octets received before TLS never count after it, and credentials are sent inside TLS only.
"""

from binascii import Error as BadBase64
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from pillarbox.mail.status import Reply
from pillarbox.sasl.api import BadExchange
from pillarbox.sasl.client import ClientExchange, choose
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode
from pillarbox.smtp.client.replies import BadReply, ReplyReader
from pillarbox.smtp.client.stuffing import DotStuffer
from pillarbox.smtp.client.transaction import Recipient, Transaction
from pillarbox.wire.engine import TlsInfo
from pillarbox.wire.outbox import Outbox

OnReply = Callable[[Reply], None]


class Want(Enum):
    """What the client needs next."""

    OCTETS = auto()
    TLS = auto()
    READY = auto()
    BODY = auto()
    CLOSED = auto()


class SmtpClient:
    """One session; see the module for the order of calls."""

    def __init__(self, policy: ClientPolicy, tls_mode: TlsMode, login: Login | None = None) -> None:
        self.out = Outbox()
        self.want = Want.OCTETS
        self.failure: Reply | None = None
        self.tls: TlsInfo | None = None
        self.extensions: dict[str, str] = {}
        self.timeout = policy.timeouts.greeting
        self._policy = policy
        self._tls_mode = tls_mode
        self._login = login
        self._replies = ReplyReader()
        self._expected: deque[OnReply] = deque()
        self._transaction: Transaction | None = None
        self._accepted: list[int] = []
        self._needs_reset = False
        self._stuffer = DotStuffer()
        self._exchange: ClientExchange | None = None

    # What the network calls

    def connected(self, tls: TlsInfo | None) -> None:
        """The connection stands; `tls` when it was encrypted from the first octet."""
        self.tls = tls
        self._expected.append(self._on_greeting)

    def receive(self, octets: bytes) -> None:
        """Take octets from the server."""
        self._replies.feed(octets)
        try:
            while self.want in (Want.OCTETS, Want.BODY, Want.READY) and (reply := self._replies.next()) is not None:
                self._take(reply)
        except BadReply as error:
            self._fail(Reply(451, "4.5.0", str(error)))

    def tls_started(self, tls: TlsInfo) -> None:
        """The handshake after STARTTLS is done: begin anew (RFC 3207 §4.2)."""
        self.tls = tls
        self._replies.clear()
        self.extensions = {}
        self.want = Want.OCTETS
        self._ehlo()

    def lost(self, text: str) -> None:
        """The connection broke, or the server was silent for too long."""
        if self.want is not Want.CLOSED:
            self._fail(Reply(451, "4.4.2", text))

    def send(self, transaction: Transaction) -> None:
        """Begin a transaction; when `want` is READY (or CLOSED) again, each recipient has its outcome."""
        refusal = transaction.refusal(self.extensions)
        if refusal is not None:
            transaction.decide(refusal)
            return
        self._transaction = transaction
        transaction.notifying = "DSN" in self.extensions
        self._accepted = []
        self._stuffer = DotStuffer()
        self.want = Want.OCTETS
        self.timeout = self._policy.timeouts.command
        if not self._needs_reset:
            self._mail()
        elif "PIPELINING" in self.extensions:
            self._command(b"RSET\r\n", _ignored)
            self._mail()
        else:
            self._command(b"RSET\r\n", lambda _reply: self._mail())

    def body(self, chunk: bytes) -> None:
        """The next octets of the message."""
        if self.want is Want.BODY:
            self.out.write(self._stuffer.stuff(chunk))

    def end_of_body(self) -> None:
        """The message is complete."""
        if self.want is Want.BODY:
            self.want = Want.OCTETS
            self._command(self._stuffer.end(), self._on_final)
            self.timeout = self._policy.timeouts.final

    def quit(self) -> None:
        """Take leave; the session must be READY."""
        self.want = Want.OCTETS
        self._command(b"QUIT\r\n", self._on_quit)
        self.timeout = self._policy.timeouts.quit

    # Opening: greeting, EHLO, STARTTLS, AUTH

    def _on_greeting(self, reply: Reply) -> None:
        if reply.code == 220:
            self._ehlo()
        else:
            self._fail(reply)

    def _ehlo(self) -> None:
        self.timeout = self._policy.timeouts.command
        self._command(f"EHLO {self._policy.host_name}\r\n".encode(), self._on_ehlo)

    def _on_ehlo(self, reply: Reply) -> None:
        if reply.code == 250:
            self.extensions = _extensions(reply)
            self._secure()
        elif reply.is_permanent:  # RFC 5321 §3.2: an old server; HELO still works
            self._command(f"HELO {self._policy.host_name}\r\n".encode(), self._on_helo)
        else:
            self._fail(reply)

    def _on_helo(self, reply: Reply) -> None:
        if reply.code == 250:
            self._secure()
        else:
            self._fail(reply)

    def _secure(self) -> None:
        if self.tls is None and self._tls_mode is not TlsMode.NONE:
            if "STARTTLS" in self.extensions:
                self._command(b"STARTTLS\r\n", self._on_starttls)
                return
            if self._tls_mode is not TlsMode.OPPORTUNISTIC:
                self._fail(Reply(451, "4.7.4", "the next server does not offer STARTTLS, which is required for it"))
                return
        self._authenticate()

    def _on_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            self._replies.clear()  # what came with it was not under TLS: it is nobody's word (RFC 3207 §6)
            self.want = Want.TLS
        elif self._tls_mode is TlsMode.OPPORTUNISTIC:
            self._authenticate()
        else:
            self._fail(reply if not reply.is_success else Reply(451, "4.7.4", "the next server did not start TLS"))

    def _authenticate(self) -> None:
        if self._login is None:
            self.want = Want.READY
            return
        if self.tls is None:
            self._fail(Reply(451, "4.7.11", "the password for the next server is not sent without TLS"))
            return
        offered = self.extensions.get("AUTH", "").split()
        self._exchange = choose(offered, self._login.username, self._login.password)
        if self._exchange is None:
            self._fail(Reply(451, "4.7.0", "the next server offers no way to log in that we know"))
            return
        initial = self._exchange.initial()
        words = f"AUTH {self._exchange.name}".encode()
        if initial is not None:
            words += b" " + (b2a_base64(initial, newline=False) or b"=")
        self._command(words + b"\r\n", self._on_auth)

    def _on_auth(self, reply: Reply) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        try:
            if reply.code == 334:
                answer = exchange.answer(a2b_base64(reply.text.encode("ascii", "replace")))
                self._command(b2a_base64(answer, newline=False) + b"\r\n", self._on_auth)
            elif reply.code == 235:
                exchange.succeeded()
                self.want = Want.READY
            else:  # our configuration is wrong, not the message: it waits (so 4yz) until that is mended
                self._fail(Reply(451, "4.7.8", f"the next server refused our login: {reply}"))
        except (BadExchange, BadBase64) as error:
            self._fail(Reply(451, "4.7.8", f"logging in to the next server failed: {error}"))

    # The transaction

    def _mail(self) -> None:
        """MAIL; with PIPELINING everything up to DATA goes in one piece (RFC 2920 §3.1)."""
        transaction = self._transaction
        if transaction is None:
            return
        self._needs_reset = True
        self._command(transaction.mail(self.extensions), self._on_mail)
        if "PIPELINING" in self.extensions:
            for i, recipient in enumerate(transaction.recipients):
                self._rcpt(i, recipient)
            self._command(b"DATA\r\n", self._on_data)

    def _rcpt(self, i: int, recipient: Recipient) -> None:
        if self._transaction is not None:
            self._command(self._transaction.rcpt(recipient, self.extensions), lambda reply: self._on_rcpt(i, reply))

    def _on_mail(self, reply: Reply) -> None:
        if self._transaction is None:
            return
        if not reply.is_success:
            self._transaction.decide(reply)
        if "PIPELINING" in self.extensions:
            return
        if reply.is_success:
            self._next_unpipelined(0)
        else:
            self._done()

    def _next_unpipelined(self, i: int) -> None:
        """RCPT by RCPT, then DATA, for servers without PIPELINING."""
        transaction = self._transaction
        if transaction is None:
            return
        if i < len(transaction.recipients):
            self._rcpt(i, transaction.recipients[i])
        elif self._accepted:
            self._command(b"DATA\r\n", self._on_data)
            self.timeout = self._policy.timeouts.data
        else:
            self._done()

    def _on_rcpt(self, i: int, reply: Reply) -> None:
        transaction = self._transaction
        if transaction is None:
            return
        if transaction.outcomes[i] is None:
            if reply.is_success:
                self._accepted.append(i)
            else:
                # RFC 5321 §4.5.3.1.10: 552 for too many recipients means 452.
                transaction.outcomes[i] = Reply(452, "4.5.3", reply.text) if reply.code == 552 else reply
        if "PIPELINING" not in self.extensions:
            self._next_unpipelined(i + 1)
        elif i == len(transaction.recipients) - 1:
            self.timeout = self._policy.timeouts.data

    def _on_data(self, reply: Reply) -> None:
        if self._transaction is None:
            return
        if reply.code == 354 and not self._accepted:
            self._command(
                b".\r\n", self._on_empty
            )  # RFC 2920 §3.1: nobody is to get it, but the server waits for a dot
            self.timeout = self._policy.timeouts.final
        elif reply.code == 354:
            self.want = Want.BODY
            self.timeout = self._policy.timeouts.block
        else:
            self._transaction.decide(reply if not reply.is_success else Reply(451, "4.5.0", f"unexpected: {reply}"))
            self._done()

    def _on_empty(self, _reply: Reply) -> None:
        self._done()

    def _on_final(self, reply: Reply) -> None:
        if self._transaction is not None:
            self._transaction.decide(reply)
            self._needs_reset = not reply.is_success
        self._done()

    def _done(self) -> None:
        self._transaction = None
        self.want = Want.READY

    # Odds and ends

    def _on_quit(self, _reply: Reply) -> None:
        self.want = Want.CLOSED

    def _command(self, octets: bytes, on_reply: OnReply) -> None:
        self.out.write(octets)
        self._expected.append(on_reply)

    def _take(self, reply: Reply) -> None:
        if reply.code == 421:  # RFC 5321 §3.8: the server may leave at any time
            self._fail(reply)
        elif self._expected:
            self._expected.popleft()(reply)
        else:
            if self._transaction is not None and not reply.is_success:  # it refuses the message before its end
                self._transaction.decide(reply)
            self._fail(Reply(451, "4.5.0", f"the server spoke out of turn: {reply}"))

    def _fail(self, reply: Reply) -> None:
        """The session is over; whoever has no outcome yet gets this one, as a temporary failure."""
        if self._transaction is not None:
            self._transaction.decide(reply)
            self._transaction = None
        self.failure = reply
        self._expected.clear()
        self.out.take()
        self.want = Want.CLOSED


def _ignored(_reply: Reply) -> None:
    """RSET cannot fail in a way that matters."""


def _extensions(reply: Reply) -> dict[str, str]:
    """EHLO keywords and what follows them; the first line is the server's name."""
    found: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        if keyword.upper().startswith("AUTH="):  # the form of a draft that some still announce
            continue
        found[keyword.upper()] = parameters.strip()
    return found
