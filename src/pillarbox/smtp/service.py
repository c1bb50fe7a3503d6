"""What an SMTP engine asks of the rest of the server. Port 25 and submission are two implementations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Reply
from pillarbox.sasl.api import Identity
from pillarbox.wire.engine import Link


@dataclass(slots=True)
class Client:
    """The peer of an SMTP session as far as it is known. `protocol` is the "with" keyword of Received (RFC 3848, 6531)."""

    link: Link
    helo: str = ""
    identity: Identity | None = None
    protocol: str = "SMTP"


class Body(Protocol):
    """Where a message goes while it is received. Octets arrive with dot-stuffing removed and line ends as CRLF."""

    size: int

    def write(self, octets: bytes) -> None:
        """Take the next octets; raises OSError when they cannot be kept."""

    def discard(self) -> None:
        """The transaction was aborted; may be called any time, also after `accept`."""


class MailService(Protocol):
    """Decides about a transaction, step by step. Every refusal is `Refused(Reply)`; anything else is a bug (451)."""

    def watch_account(self, client: Client, closed: Callable[[], None]) -> Callable[[], None]:
        """The client has logged in. Call `closed` when its account is closed or its password changes, until the returned
        function is called."""

    async def check_sender(self, client: Client, envelope: Envelope) -> None:
        """MAIL FROM was given: envelope has its reverse-path and parameters. Raises Refused."""

    async def check_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """RCPT TO was given; on return the engine adds it to the envelope. Raises Refused."""

    def open_body(self, client: Client, envelope: Envelope) -> Body:
        """DATA or the first BDAT is about to be received. Raises Refused (no space, for instance)."""

    async def accept(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        """The message is complete. Returning a 2yz reply means that it is on disk and ours now. Raises Refused."""
