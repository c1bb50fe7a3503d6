"""DELETE (RFC 9051 §6.3.5). Children stay. A session that has the mailbox open ends, but for the one that deletes it."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("DELETE", state=State.LOGGED_IN)
@dataclass(frozen=True, slots=True)
class Delete:
    """A mailbox and its messages go for ever."""

    name: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().mailbox())

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.selected
        view = await session.mail.open(session.account, self.name)
        if selected is None or selected.view.mailbox != view.mailbox:
            await session.mail.delete(session.account, self.name)
            return ok("DELETE completed")
        session.deleting = view.mailbox
        try:
            await session.mail.delete(session.account, self.name)
        finally:
            session.deleting = 0
        session.selected = None
        out.write(b"* OK [CLOSED] The mailbox that was open is deleted\r\n")
        return ok("DELETE completed")
