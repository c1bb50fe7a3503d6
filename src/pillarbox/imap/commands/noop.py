"""NOOP and CHECK (RFC 9051 §6.1.2, RFC 3501 §6.4.1): what is owed to the session comes before their OK, as with all."""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("NOOP", state=State.ANY)
@dataclass(frozen=True, slots=True)
class Noop(Bare):
    """Nothing, but for the updates."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        return ok("NOOP completed")


@command("CHECK", state=State.SELECTED)
@dataclass(frozen=True, slots=True)
class Check(Bare):
    """A checkpoint: nothing to do, everything acknowledged is on disk already."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        return ok("CHECK completed")
