"""APPEND (RFC 9051 §6.3.12): MULTIAPPEND (RFC 3502), UTF8 (RFC 6855 §4), literal8 (RFC 3516), APPENDUID (UIDPLUS).

Messages go to spools as they come, and only after mailbox, size and quota were looked at: before the go-ahead.
"""

from typing import Self

import msgspec

from pillarbox.imap.commands.copy import no_target
from pillarbox.imap.errors import BadSyntax, Refused
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import encode_set
from pillarbox.imap.registry import State, capability, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.sent_copy import filed_copy
from pillarbox.imap.session import Session
from pillarbox.store.api import NewMessage, NoSuchMailbox
from pillarbox.store.flags import NONE, Flags
from pillarbox.store.spool import Spool
from pillarbox.wire.outbox import Outbox

capability("MULTIAPPEND")


async def take_message(cursor: Cursor, size: int, session: Session) -> Spool | None:
    """Where the announced literal of `size` octets goes; None for an argument (the mailbox's name). See `registry.Entry`."""
    name = None
    if session.uploads:
        cursor.position = session.options_at  # what stands before was read for the messages before
    else:
        start = cursor.sp().position
        if cursor.announcement() and cursor.at_end:
            return None
        cursor.position = start
        name = cursor.mailbox()
        session.options_at = cursor.position
    _options(cursor)
    while not cursor.at_end:
        session.options_at = cursor.position
        _options(cursor)
    policy = session.policy
    if size == 0:
        raise Refused("An empty message is none: APPEND is cancelled")  # RFC 3502 §6.3.11
    if size > policy.max_message:
        raise Refused(f"The message is larger than {policy.max_message} octets", "TOOBIG")
    if name is not None:
        try:
            await session.mail.open(session.account, name)
        except NoSuchMailbox:
            raise no_target() from None
    account = await session.store.directory.account_by_id(session.account)
    if account is not None and account.quota:
        used, _ = await session.mail.usage(session.account)
        if used + sum(spool.size for spool in session.uploads) + size > account.quota:
            raise Refused("The account has no room for this message: delete something first", "OVERQUOTA")
    return session.store.spool()


class Options(msgspec.Struct, frozen=True):
    """What is given with one message."""

    flags: Flags = NONE
    internaldate: int | None = None


def _options(cursor: Cursor) -> Options:
    """One message: [flag-list] [date-time] and its literal, whose octets are in a spool, or UTF8 (literal8)."""
    cursor.sp().accept(b" ")  # Python's imapclient sends two between the messages of a MULTIAPPEND
    flags, internaldate = NONE, None
    if cursor.peek() == b"(":
        flags = cursor.flags()
        cursor.sp()
    if cursor.peek() == b'"':
        internaldate = cursor.date_time()
        cursor.sp()
    wrapped = cursor.peek() in (b"U", b"u")
    if wrapped:
        if cursor.keyword() != "UTF8":
            raise BadSyntax("Expected a message as a literal")
        cursor.sp().expect(b"(", "a literal8 in parentheses")
    if not cursor.announcement():
        raise BadSyntax("Expected a message as a literal")
    if wrapped and not cursor.at_end:  # at the end: its octets have not come yet
        cursor.expect(b")", "the end of UTF8 (")
    return Options(flags, internaldate)


@command("APPEND", state=State.LOGGED_IN, upload=take_message)
class Append(msgspec.Struct, frozen=True):
    """Messages for a mailbox; their octets are in the session's `uploads`, in the same order."""

    name: str
    messages: tuple[Options, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        name = cursor.sp().mailbox()
        messages = [_options(cursor)]
        while not cursor.at_end:
            messages.append(_options(cursor))
        return cls(name, tuple(messages))

    async def run(self, session: Session, out: Outbox) -> Completion:
        if len(session.uploads) != len(self.messages):
            raise BadSyntax("Expected a message as a literal")
        new = [
            NewMessage(spool, options.flags, options.internaldate)
            for spool, options in zip(session.uploads, self.messages, strict=True)
        ]
        try:
            uidvalidity, uids = await self._append(session, new)
        except NoSuchMailbox:
            raise no_target() from None
        return ok("APPEND completed", f"APPENDUID {uidvalidity} {encode_set(uids)}")

    async def _append(self, session: Session, new: list[NewMessage]) -> tuple[int, list[int]]:
        """UIDVALIDITY and the messages' UIDs."""
        mail, account = session.mail, session.account
        known: dict[int, int] = {}  # position in `new` -> UID of the copy that is there already
        target = await mail.open(account, self.name)
        if target.special_use == "\\Sent":
            for position, message in enumerate(new):
                copy = await filed_copy(mail, account, target.mailbox, message.spool)
                if copy is not None and copy[1]:
                    known[position] = copy[0]
                elif copy is not None:
                    new[position] = msgspec.structs.replace(message, replaces=copy[0])
        appended = await mail.append(
            account, self.name, [message for position, message in enumerate(new) if position not in known]
        )
        fresh = iter(appended.uids)
        return appended.uidvalidity, [known[p] if p in known else next(fresh) for p in range(len(new))]
