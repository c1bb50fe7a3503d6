"""One copy of what is sent: submission files it, and many clients append it too (users see it twice, or not at all).

A message that a client appends to the \\Sent mailbox, and that the server filed there already, is the same message when
it differs in trace and Bcc only: then the server's copy stays. Otherwise the client's replaces it (it may hold the Bcc).

Security: strangers who logged in feed this. Linear, and bounded by the header's size.
"""

import re

from pillarbox.mail.summary import summarise
from pillarbox.store.api import Mail
from pillarbox.store.spool import Spool

_IGNORED = re.compile(rb"(?:Received|DKIM-Signature|Bcc):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE)
_FIELD_START = re.compile(rb"(?m)^(?=[^ \t])")
MAX_COMPARED = 8 * 1024 * 1024
"""Octets: larger messages are not compared, the client's copy wins."""


async def filed_copy(mail: Mail, account: int, mailbox: int, spool: Spool) -> tuple[int, bool] | None:
    """The UID of the server's copy of this message and whether it is the same; None when there is none."""
    head = next(iter(spool.chunks()), b"")
    message_id = summarise(head).message_id
    if not message_id:
        return None
    uids = await mail.find_message_id(account, mailbox, message_id)
    records = await mail.records(account, mailbox, uids) if uids else []
    uid = next((record.uid for record in records if record is not None and record.filed_by_server), None)
    if uid is None:
        return None
    if spool.size > MAX_COMPARED:
        return uid, False
    filed = await mail.octets(account, mailbox, uid)
    return None if filed is None else (uid, essence(filed) == essence(spool.octets()))


def essence(message: bytes) -> bytes:
    """A message without the header fields that servers add and remove on the way."""
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return message
    fields = _FIELD_START.split(message[: end + 2])
    return b"".join(field for field in fields if not _IGNORED.fullmatch(field)) + message[end + 2 :]
