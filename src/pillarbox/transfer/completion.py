"""Completion: what a submission server may mend in a message's header (RFC 6409 §8). The body is never touched."""

from typing import NamedTuple

from pillarbox.mail.header import present, remove
from pillarbox.transfer.trace import date_time

_BLIND = frozenset((b"bcc", b"resent-bcc"))
_RETURN_PATH = frozenset((b"return-path",))  # belongs to the last server (RFC 5321 §4.4)
_MENDED = _BLIND | _RETURN_PATH | {b"message-id", b"date"}


class Completed(NamedTuple):
    """`header` as every recipient may see it; `own` as its author's copy has it: with Bcc, which must reach nobody else
    (RFC 5322 §3.6.3, the first of its ways). They are the same object where there are no blind copies."""

    header: bytes
    own: bytes


def complete(header: bytes, *, message_id: str, now: float) -> Completed:
    """The header with a Message-ID and a Date. `message_id` without angle brackets; `now` in epoch seconds."""
    names = present(header, _MENDED)
    if names & _RETURN_PATH:
        header = remove(header, _RETURN_PATH)
    added = b""
    if b"message-id" not in names:
        added += f"Message-ID: <{message_id}>\r\n".encode()
    if b"date" not in names:
        added += f"Date: {date_time(int(now))}\r\n".encode()
    own = added + header
    return Completed(own if names.isdisjoint(_BLIND) else remove(own, _BLIND), own)
