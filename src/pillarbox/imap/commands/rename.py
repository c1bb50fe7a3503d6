"""RENAME (RFC 9051 §6.3.6). Children go along; UIDs stay."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import SEPARATOR
from pillarbox.wire.outbox import Outbox


@command("RENAME", state=State.LOGGED_IN)
@dataclass(frozen=True, slots=True)
class Rename:
    """A mailbox's old and new name."""

    name: str
    new_name: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().mailbox(), cursor.sp().mailbox())

    async def run(self, session: Session, out: Outbox) -> Completion:
        await session.mail.rename(session.account, self.name, self.new_name.removesuffix(SEPARATOR))
        return ok("RENAME completed")
