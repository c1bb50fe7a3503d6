"""CLOSE (RFC 9051 §6.4.1) and UNSELECT (§6.4.2)."""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("CLOSE", state=State.SELECTED)
@dataclass(frozen=True, slots=True)
class Close(Bare):
    """Leave the mailbox; messages with \\Deleted go, without a word, unless it was opened read-only."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.mailbox
        if not selected.read_only and selected.view.deleted:
            await session.mail.expunge(session.account, selected.view.mailbox, None, by=session.link.id)
        await session.leave()
        return ok("CLOSE completed")


@command("UNSELECT", state=State.SELECTED, capability="UNSELECT")
@dataclass(frozen=True, slots=True)
class Unselect(Bare):
    """Leave the mailbox as it is."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        await session.leave()
        return ok("UNSELECT completed")
