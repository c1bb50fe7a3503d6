"""IDLE (RFC 9051 §6.3.13, RFC 2177): changes are sent at once, until the client says DONE."""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, Dialogue, State, command
from pillarbox.imap.response import Completion, bad, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("IDLE", state=State.LOGGED_IN, capability="IDLE")
@dataclass(frozen=True, slots=True)
class Idle(Bare):
    """Wait for changes."""

    async def run(self, session: Session, out: Outbox) -> Dialogue:
        out.write(b"+ idling\r\n")
        session.catch_up(expunge=True)
        session.idling = True
        return _Done()


class _Done:
    """What ends it. Further commands may stand in the same segment (Apple Mail)."""

    __slots__ = ()

    async def line(self, line: bytes, session: Session, out: Outbox) -> Completion:
        session.idling = False
        return ok("IDLE completed") if line.upper() == b"DONE" else bad("Expected DONE")
