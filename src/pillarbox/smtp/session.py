"""Session: what one SMTP connection knows at a moment. Commands read and change it; the engine owns it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Refused, Reply
from pillarbox.sasl.api import Credentials, Exchange, Identity
from pillarbox.smtp.body import BodyReader, Intake
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.service import Client, MailService
from pillarbox.wire.engine import TlsInfo


class StartExchange(Protocol):
    """Begins an authentication exchange with the mechanism of this name."""

    def __call__(self, name: str, credentials: Credentials, *, tls: TlsInfo | None) -> Exchange: ...


@dataclass(slots=True)
class Transaction:
    """From MAIL to the end of the message. `intake` stands from DATA or the first BDAT on."""

    envelope: Envelope
    intake: Intake | None = None

    @property
    def utf8(self) -> bool:
        """Whether MAIL asked for SMTPUTF8 (RFC 6531)."""
        return "SMTPUTF8" in self.envelope.parameters


@dataclass(slots=True)
class Session:
    """One connection's state.

    `reader` receives what comes next as message octets, then `when_read` gives the reply. `continuation` receives the next
    line instead of a command (AUTH). `commands` counts since the last accepted message. `leaving` closes the connection
    after the reply; `starting_tls` hands it to TLS.
    """

    client: Client
    policy: Policy
    service: MailService
    credentials: Credentials | None
    start_exchange: StartExchange
    account_closed: Callable[[], None]
    stop_watching: Callable[[], None] | None = None
    extended: bool = False
    transaction: Transaction | None = None
    reader: BodyReader | None = None
    when_read: Callable[[], Awaitable[Reply]] | None = None
    continuation: Callable[[bytes], Awaitable[Reply]] | None = None
    leaving: bool = False
    starting_tls: bool = False
    errors: int = 0
    auth_failures: int = 0
    refused_recipients: int = 0
    commands: int = 0

    @property
    def greeted(self) -> bool:
        """HELO or EHLO was said."""
        return bool(self.client.helo)

    @property
    def tls(self) -> TlsInfo | None:
        """TLS of this connection, if it is on."""
        return self.client.link.tls

    @property
    def can_authenticate(self) -> bool:
        """AUTH exists here and now: on submission, inside TLS (RFC 4954 §4, RFC 8314 §3)."""
        return self.policy.submission and self.credentials is not None and self.tls is not None

    @property
    def can_start_tls(self) -> bool:
        """STARTTLS exists here and now."""
        return self.policy.starttls and self.tls is None

    def reset(self) -> None:
        """Abort the transaction, if there is one."""
        if self.transaction is not None and self.transaction.intake is not None:
            self.transaction.intake.discard()
        self.transaction = None

    def log_in(self, identity: Identity) -> None:
        """The client is who it says; the session ends when the account does."""
        self.client.identity = identity
        self.stop_watching = self.service.watch_account(self.client, self.account_closed)

    def forget(self) -> None:
        """Forget everything that was learned from the peer (RFC 3207 §4.2)."""
        self.reset()
        if self.stop_watching is not None:
            self.stop_watching()
            self.stop_watching = None
        self.reader = self.when_read = self.continuation = None
        self.extended = False
        self.client.helo = ""
        self.client.identity = None
        self.client.protocol = "SMTP"

    def protocol(self, *, utf8: bool) -> str:
        """The "with" keyword of Received (RFC 3848, RFC 6531 §4.3)."""
        if not self.extended:
            return "SMTP"
        name = "UTF8SMTP" if utf8 else "ESMTP"
        return name + "S" * (self.tls is not None) + "A" * (self.client.identity is not None)

    def read(self, reader: BodyReader, then: Callable[[], Awaitable[Reply]]) -> None:
        """Let `reader` take what comes; `then` gives the reply when it has all."""
        self.reader, self.when_read = reader, then

    async def complete(self) -> Reply:
        """The message is there: hand it to the service. The transaction ends, whatever the service says.

        Raises Refused.
        """
        transaction, self.transaction = self.transaction, None
        if transaction is None or transaction.intake is None:
            raise Refused(Reply(503, "5.5.1", "There is no message to accept"))
        intake = transaction.intake
        intake.finish()
        if intake.fault is not None:
            self.leaving = self.leaving or intake.fatal
            raise Refused(intake.fault)
        assert intake.body is not None
        reply = await self.service.accept(self.client, transaction.envelope, intake.body)
        self.refused_recipients = self.commands = 0
        return reply
