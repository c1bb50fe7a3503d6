"""One copy of what is sent: submission files it, and many clients append it too (users see it twice, or not at all).

A message that a client appends to the \\Sent mailbox, and that the server filed there already, is the same message when
it differs in trace only, or lacks the Bcc that the server's copy has: then the server's stays. Otherwise the client's
replaces it. So Bcc survives, whether the client submits it, or appends it only.

Security: strangers who logged in feed this. Linear, and bounded by the header's size.
"""

import re

from pillarbox.mail.summary import message_id_of
from pillarbox.store.api import Mail
from pillarbox.store.spool import Spool

_TRACE = re.compile(rb"(?:Return-Path|Received|DKIM-Signature):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE)
_BLIND = re.compile(rb"(?:Resent-)?Bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE)
_FIELD_START = re.compile(rb"(?m)^(?=[^ \t])")
MAX_COMPARED = 8 * 1024 * 1024
"""Octets: larger messages are not compared, the client's copy wins."""


async def filed_copy(mail: Mail, account: int, mailbox: int, spool: Spool) -> tuple[int, bool] | None:
    """The UID of the server's copy of this message and whether it is the same; None when there is none."""
    head = next(iter(spool.chunks()), b"")
    message_id = message_id_of(head)
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
    if filed is None:
        return None
    blind, rest = essence(filed)
    clients_blind, clients_rest = essence(spool.octets())
    return uid, rest == clients_rest and clients_blind in (b"", blind)


def essence(message: bytes) -> tuple[bytes, bytes]:
    """The Bcc fields of a message, and the message without them and without what servers add on the way."""
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return b"", message
    fields = [field for field in _FIELD_START.split(message[: end + 2]) if not _TRACE.fullmatch(field)]
    blind = b"".join(field for field in fields if _BLIND.fullmatch(field))
    return blind, b"".join(field for field in fields if not _BLIND.fullmatch(field)) + message[end + 2 :]
