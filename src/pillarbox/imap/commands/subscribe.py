"""SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@command("SUBSCRIBE", state=State.LOGGED_IN)
@dataclass(frozen=True, slots=True)
class Subscribe:
    """Show this mailbox among the subscribed ones."""

    name: str

    SUBSCRIBED: ClassVar[bool] = True

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().mailbox())

    async def run(self, session: Session, out: Outbox) -> Completion:
        await session.mail.subscribe(session.account, self.name, subscribed=self.SUBSCRIBED)
        return ok("SUBSCRIBE completed" if self.SUBSCRIBED else "UNSUBSCRIBE completed")


@command("UNSUBSCRIBE", state=State.LOGGED_IN)
@dataclass(frozen=True, slots=True)
class Unsubscribe(Subscribe):
    """Do not show it there any more."""

    SUBSCRIBED: ClassVar[bool] = False
