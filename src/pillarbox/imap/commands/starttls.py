"""STARTTLS (RFC 9051 §6.2.1).

Security: octets behind the command are never run; the engine ends the connection when there are any.
"""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, bad, ok
from pillarbox.imap.session import Session
from pillarbox.wire.engine import Want
from pillarbox.wire.outbox import Outbox


@command("STARTTLS", state=State.NOT_AUTHENTICATED)
@dataclass(frozen=True, slots=True)
class StartTls(Bare):
    """Go on inside TLS."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        if session.link.tls is not None:
            return bad("TLS is in use already")
        return ok("Begin TLS now", then=Want.TLS)
