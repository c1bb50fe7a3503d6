"""Completion: what a submission server may mend in a message's header (RFC 6409 §8). The body is never touched."""

from pillarbox.mail.header import fields, remove
from pillarbox.transfer.trace import date_time

REMOVED = (b"bcc", b"resent-bcc", b"return-path")
"""Bcc must not reach the recipients (RFC 5322 §3.6.3); Return-Path belongs to the last server (RFC 5321 §4.4)."""


def complete(header: bytes, *, message_id: str, now: float) -> bytes:
    """The header without blind copies and with a Message-ID and a Date. `message_id` without angle brackets; `now` in
    epoch seconds."""
    names = {field.name for field in fields(header, 0, len(header))}
    if not names.isdisjoint(REMOVED):
        header = remove(header, REMOVED)
    added = b""
    if b"message-id" not in names:
        added += f"Message-ID: <{message_id}>\r\n".encode()
    if b"date" not in names:
        added += f"Date: {date_time(int(now))}\r\n".encode()
    return added + header
