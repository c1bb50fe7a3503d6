"""COPY (RFC 9051 §6.4.7) and MOVE (§6.4.8, RFC 6851), with COPYUID (UIDPLUS).

Messages that are gone already are nothing to copy and no error: Apple Mail would try for ever.
"""

from typing import Self

import msgspec

from pillarbox.imap.errors import Refused
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet, encode_set
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import Copied, NoSuchMailbox
from pillarbox.wire.outbox import Outbox


@command("COPY", state=State.SELECTED, capability="UIDPLUS", uid=True)
class Copy(msgspec.Struct, frozen=True):
    """Messages, and the mailbox that gets them too."""

    messages: MessageSet
    target: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().message_set(), cursor.sp().mailbox())

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.mailbox
        uids = selected.take(selected.spans(self.messages))
        try:
            copied = await session.mail.copy(session.account, selected.view.mailbox, uids, self.target)
        except NoSuchMailbox:
            raise no_target() from None
        return ok("COPY completed", copyuid(copied))


@command("MOVE", state=State.SELECTED, capability="MOVE", uid=True)
class Move(Copy, frozen=True):
    """Messages, and the mailbox that gets them."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.writable
        uids = selected.take(selected.spans(self.messages))
        try:
            moved = await session.mail.move(
                session.account, selected.view.mailbox, uids, self.target, by=session.link.id
            )
        except NoSuchMailbox:
            raise no_target() from None
        if moved.source:
            out.write(f"* OK [{copyuid(moved)}] Moved\r\n".encode())  # before the EXPUNGEs (RFC 9051 §6.4.8)
        return ok("MOVE completed")


def no_target() -> Refused:
    """The mailbox does not exist: the client may create it and try again (RFC 9051 §7.1)."""
    return Refused("There is no such mailbox: create it first", "TRYCREATE")


def copyuid(copied: Copied) -> str:
    """The COPYUID code, "" when nothing was copied."""
    if not copied.source:
        return ""
    return f"COPYUID {copied.uidvalidity} {encode_set(copied.source)} {encode_set(copied.target)}"
