"""STARTTLS (RFC 3207)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import When, command
from pillarbox.smtp.session import Session

_ALREADY = Reply(503, "5.5.1", "TLS is on already")
_ABSENT = Reply(502, "5.5.1", "TLS is not available here")


@command("STARTTLS", "RFC 3207", when=When.BETWEEN, before_tls=True, alone=True)
@dataclass(frozen=True, slots=True)
class StartTls:
    """Starts TLS on this connection; the session begins anew inside of it."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """No arguments."""
        grammar.no_arguments(arguments)
        return cls()

    async def run(self, session: Session) -> Reply:
        """Tell the network to start TLS after the reply."""
        if session.tls is not None:
            raise Refused(_ALREADY)
        if not session.policy.starttls:
            raise Refused(_ABSENT)
        session.starting_tls = True
        return Reply(220, "2.0.0", "Ready to start TLS")
