"""CREATE (RFC 9051 §6.3.4) with a special use (CREATE-SPECIAL-USE, RFC 6154 §3)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.errors import BadSyntax, Refused
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import SEPARATOR
from pillarbox.wire.outbox import Outbox

SPECIAL_USES = {use.upper(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
"""Uses that a mailbox can be given; \\All and \\Flagged would be views of other mailboxes."""


@command("CREATE", state=State.LOGGED_IN, capability="CREATE-SPECIAL-USE")
@dataclass(frozen=True, slots=True)
class Create:
    """A new mailbox, for a special use if one is given."""

    name: str
    uses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        name = cursor.sp().mailbox()
        uses: list[str] = []
        if not cursor.at_end:
            cursor.sp().expect(b"(", "a list in parentheses")
            if cursor.keyword() != "USE":
                raise BadSyntax("That parameter of CREATE is not known")
            uses = cursor.sp().parenthesised(cursor.flag, empty=True)
            cursor.expect(b")", "the end of the list")
        return cls(name, tuple(uses))

    async def run(self, session: Session, out: Outbox) -> Completion:
        # A separator at the end only says that children will follow (RFC 9051 §6.3.4).
        await session.mail.create(
            session.account, self.name.removesuffix(SEPARATOR), special_use=await self._use(session)
        )
        return ok("CREATE completed")

    async def _use(self, session: Session) -> str:
        if not self.uses:
            return ""
        use = SPECIAL_USES.get(self.uses[0].upper())
        if use is None or len(self.uses) > 1:
            raise Refused("A mailbox has one use of Archive, Drafts, Junk, Sent and Trash", "USEATTR")
        if any(mailbox.special_use == use for mailbox in await session.mail.mailboxes(session.account)):
            raise Refused("Another mailbox has that use already", "USEATTR")
        return use
