"""CAPABILITY (RFC 9051 §6.1.1)."""

from dataclasses import dataclass

from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("CAPABILITY", state=State.ANY)
@dataclass(frozen=True, slots=True)
class Capability(Bare):
    """What the server can do, now."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        out.write(f"* CAPABILITY {capabilities(session)}\r\n".encode())
        return ok("CAPABILITY completed")
