"""EXPUNGE (RFC 9051 §6.4.3) and UID EXPUNGE (§6.4.9, UIDPLUS). The EXPUNGE responses come with the session's other updates."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("EXPUNGE", state=State.SELECTED, uid=True)
@dataclass(frozen=True, slots=True)
class Expunge:
    """Messages with \\Deleted go; of these only, if a set is given."""

    messages: MessageSet | None

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().message_set() if cursor.by_uid else None)

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.writable
        uids = None if self.messages is None else selected.take(selected.spans(self.messages))
        await session.mail.expunge(session.account, selected.view.mailbox, uids, by=session.link.id)
        return ok("EXPUNGE completed")
