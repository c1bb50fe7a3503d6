"""LOGOUT (RFC 9051 §6.1.3)."""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.engine import Want
from pillarbox.wire.outbox import Outbox


@command("LOGOUT", state=State.ANY)
@dataclass(frozen=True, slots=True)
class Logout(Bare):
    """The client goes. Messages with \\Deleted stay: only CLOSE expunges."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        await session.settle_recent()
        session.end()
        out.write(b"* BYE Goodbye\r\n")
        return ok("LOGOUT completed", then=Want.CLOSE)
