"""Summary: what is worked out once per message when it arrives, so that clients' listings never read the message again.

Security: strangers wrote the message. Nothing here raises on any octets; what cannot be understood becomes empty.
"""

import re
from dataclasses import dataclass

CACHED_FIELDS = frozenset(
    b"from to cc bcc sender reply-to subject date message-id in-reply-to references content-type mime-version "
    b"content-transfer-encoding content-language list-id list-post list-unsubscribe list-unsubscribe-post precedence "
    b"auto-submitted importance x-priority priority received-spf authentication-results dkim-signature newsgroups "
    b"return-path delivered-to disposition-notification-to x-mailer user-agent x-spam-status x-spam-flag "
    b"autocrypt resent-date resent-from resent-to organization".split()
)
"""Names (lower case) of the header fields that are kept apart: what clients ask for in HEADER.FIELDS."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`envelope` and `bodystructure` are in IMAP's form (RFC 9051 §7.5.2), ready to send, parentheses included.

    `fields`: the header fields of CACHED_FIELDS as they stand in the message, folded, each with its line end, in order.
    `header_size`: octets of the header with the empty line. `message_id`: with angle brackets, "" if there is none.
    `sent`: the Date field in epoch seconds, None if there is none. `preview`: the start of the text, for people.
    """

    envelope: bytes = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    bodystructure: bytes = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL)'
    fields: bytes = b""
    header_size: int = 0
    message_id: str = ""
    sent: int | None = None
    preview: str = ""


def summarise(octets: bytes) -> Summary:
    """Work out the summary of a message (octets as they are stored, line ends CRLF)."""
    end = octets.find(b"\r\n\r\n")
    header = octets[: end + 4] if end >= 0 else octets
    found = re.search(rb"(?im)^message-id:\s*(<[^>\r\n]*>)", header)
    return Summary(header_size=len(header), message_id=found[1].decode("utf-8", "replace") if found else "")
