"""LSUB (RFC 3501 §6.3.9) and XLIST (what Gmail had before RFC 6154; Outlook 2013 and 2016 ask for it)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.commands.list import Names
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.list_pattern import Pattern
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, mailbox, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import INBOX, SEPARATOR
from pillarbox.store.names import parents
from pillarbox.wire.outbox import Outbox


@command("LSUB", state=State.LOGGED_IN)
@dataclass(frozen=True, slots=True)
class Lsub:
    """Which mailboxes are subscribed."""

    pattern: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().mailbox() + cursor.sp().list_mailbox())

    async def run(self, session: Session, out: Outbox) -> Completion:
        subscribed = await session.mail.subscriptions(session.account)
        pattern = Pattern(self.pattern)
        # With "%", the level above a subscribed mailbox shows, though it is not subscribed itself (RFC 3501 §6.3.9).
        above = {parent for name in subscribed for parent in parents(name)} if "%" in self.pattern else set()
        for name in sorted(above.union(subscribed), key=lambda name: (name != INBOX, name)):
            if pattern.matches(name):
                attributes = "" if name in subscribed else "\\Noselect"
                out.write(f'* LSUB ({attributes}) "{SEPARATOR}" '.encode() + mailbox(name, utf8=session.utf8) + b"\r\n")
        return ok("LSUB completed")


@command("XLIST", state=State.LOGGED_IN, capability="XLIST")
@dataclass(frozen=True, slots=True)
class Xlist(Lsub):
    """LIST with special uses in Gmail's words."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        names = Names(await session.mail.mailboxes(session.account), set())
        pattern = Pattern(self.pattern)
        for name in names.found:
            if pattern.matches(name):
                attributes = ["\\Spam" if word == "\\Junk" else word for word in names.attributes(name)]
                if name == INBOX:
                    attributes.append("\\Inbox")
                words = " ".join(attributes)
                out.write(f'* XLIST ({words}) "{SEPARATOR}" '.encode() + mailbox(name, utf8=session.utf8) + b"\r\n")
        return ok("XLIST completed")
