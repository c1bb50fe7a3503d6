"""SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3; RFC 3501 §6.3.1; RFC 7162 §3.1.8).

A selected mailbox costs a reference to arrays that all sessions share: nothing is read or copied per message.
"""

from typing import ClassVar, Self

import msgspec

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, mailbox, ok
from pillarbox.imap.session import Session
from pillarbox.imap.view import NO_RECENT, Selected
from pillarbox.store.flags import SEEN, SYSTEM
from pillarbox.store.view import MailboxView
from pillarbox.wire.outbox import Outbox

UNSEEN_SCAN = 10_000
UNSEEN_SETS = 16
"""Messages, and sets of flags, that are looked at for UNSEEN (which is optional): opening costs the same at any size."""


@command("SELECT", state=State.LOGGED_IN)
class Select(msgspec.Struct, frozen=True):
    """Open a mailbox; the one that was open before is closed first, even if this fails (RFC 9051 §6.3.2)."""

    name: str
    condstore: bool

    READ_ONLY: ClassVar[bool] = False

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        name = cursor.sp().mailbox()
        condstore = False
        if not cursor.at_end:
            parameters = cursor.sp().parenthesised(cursor.keyword)
            if set(parameters) - {"CONDSTORE"}:
                raise BadSyntax("That parameter of SELECT is not known")
            condstore = True
        return cls(name, condstore)

    async def run(self, session: Session, out: Outbox) -> Completion:
        if session.selected is not None:
            await session.leave()
            out.write(b"* OK [CLOSED] The other mailbox is closed\r\n")
        view = await session.mail.open(session.account, self.name)
        if self.condstore:
            session.enable_condstore()
        recent_from = NO_RECENT
        if not session.rev2:
            ask = session.mail.first_recent if self.READ_ONLY else session.mail.claim_recent
            recent_from = await ask(session.account, view.mailbox)
        selected = Selected(view, session.link.id, read_only=self.READ_ONLY)
        selected.recent_from = recent_from
        selected.condstore = "CONDSTORE" in session.enabled
        selected.with_recent = not session.rev2
        session.selected = selected
        self._describe(session, selected, out)
        return ok("Mailbox is open", "READ-ONLY" if self.READ_ONLY else "READ-WRITE")

    def _describe(self, session: Session, selected: Selected, out: Outbox) -> None:
        view = selected.view
        keywords = view.flag_table.keywords
        permanent = "" if self.READ_ONLY else " ".join((*SYSTEM, *keywords, "\\*"))
        lines = [f"* {selected.count} EXISTS"]
        if not session.rev2:
            lines.append(f"* {selected.recent} RECENT")
            if unseen := first_unseen(view, selected.count):
                lines.append(f"* OK [UNSEEN {unseen}] First unseen")
        lines += [
            f"* OK [PERMANENTFLAGS ({permanent})] Flags that are kept",
            f"* OK [UIDVALIDITY {view.uidvalidity}] UIDs are valid",
            f"* OK [UIDNEXT {view.uidnext}] Next UID",
            f"* OK [HIGHESTMODSEQ {view.highestmodseq}] Highest",
            "",
        ]
        out.write(selected.flags_response() + "\r\n".join(lines).encode())
        if session.rev2:
            old = b' ("OLDNAME" (%b))' % mailbox(self.name, utf8=True) if self.name != view.name else b""
            out.write(b'* LIST () "/" %b%b\r\n' % (mailbox(view.name, utf8=True), old))


@command("EXAMINE", state=State.LOGGED_IN)
class Examine(Select, frozen=True):
    """Open a mailbox without changing anything in it."""

    READ_ONLY: ClassVar[bool] = True


def first_unseen(view: MailboxView, count: int) -> int:
    """The sequence number of the first message without \\Seen (RFC 3501 §7.1); 0 if there is none near the start."""
    unseen = [number for number, flags in enumerate(view.flag_table.sets) if SEEN not in flags]
    first = stop = min(count, UNSEEN_SCAN)
    for number in unseen[:UNSEEN_SETS]:
        try:
            first = view.flags.index(number, 0, first)
        except ValueError:
            continue
    return first + 1 if first < stop else 0
