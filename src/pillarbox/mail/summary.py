"""Summary: what is worked out once per message when it arrives, so that clients' listings never read the message again.

Security: strangers wrote the message. Nothing here raises on any octets; what cannot be understood becomes empty.
"""

import re
from collections.abc import Callable
from itertools import islice

import msgspec

from pillarbox.mail import kept_fields
from pillarbox.mail.body_structure import MAX_FIELDS, body_structure
from pillarbox.mail.date import parse_date
from pillarbox.mail.envelope_item import envelope
from pillarbox.mail.header import FIELD, MAX_HEADER, header_end, unfold
from pillarbox.mail.kept_fields import KINDS
from pillarbox.mail.mime import Laborious, Part, RootHeader, parse
from pillarbox.mail.text import one_line, part_text, walk


class Summary(msgspec.Struct, frozen=True, gc=False):
    """`envelope` and `bodystructure` are in IMAP's form (RFC 9051 §7.5.2), ready to send, parentheses included.

    `kept`: the header fields that listings show, as in `kept_fields`. `header_size`: octets of the header with the empty line.
    `message_id`: with angle brackets, "" if there is none. `sent`: the Date field in epoch seconds, None if there is none.
    `preview`: the start of the text, for people.

    A msgspec structure because thousands are made for one listing, at a tenth of a frozen dataclass's cost.
    """

    envelope: bytes = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    bodystructure: bytes = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL)'
    kept: bytes = kept_fields.NONE
    header_size: int = 0
    message_id: str = ""
    sent: int | None = None
    preview: str = ""

    @property
    def fields(self) -> bytes:
        """The kept fields as they stand in the message, folded, each with its line end, in order."""
        return kept_fields.octets_of(self.kept)


Listed = tuple[bytes, bytes, bytes, int]
"""What listings show of a summary: envelope, bodystructure, kept, header_size. A bare tuple: the cheapest there is."""


def listed(summary: Summary) -> Listed:
    """A summary's part that listings show."""
    return summary.envelope, summary.bodystructure, summary.kept, summary.header_size


_MESSAGE_ID = re.compile(rb"<[^<>\r\n]{1,995}>")

PREVIEW_LENGTH = 200
"""Characters of a preview (RFC 8970 §3.1 allows 256 and recommends 200)."""

_PREVIEW_SOURCE = 640  # octets of a text part that are read for its preview
_PREVIEW_SOURCE_HTML = 8 * 1024  # much of the start of HTML is style


_WHOLE_FIELD = re.compile(rb"(?m)^(" + FIELD.pattern.removeprefix(b"(?m)^") + b")")


def summarise(octets: bytes, *, brief: bool = False) -> Summary:
    """Work out the summary of a message (octets as they are stored, line ends CRLF). `brief`: see `mime.parse`."""
    end = header_end(octets)
    header: dict[bytes, list[bytes]] = {}
    content: dict[bytes, bytes] = {}
    kinds: list[int] = []
    kept: list[bytes] = []
    for whole, name, value in _WHOLE_FIELD.findall(octets, 0, min(end, MAX_HEADER))[:MAX_FIELDS]:
        name = name.lower()
        kind = KINDS.get(name)
        if kind is not None:
            header.setdefault(name, []).append(value)
            kinds.append(kind)
            kept.append(whole)
        if name.startswith(b"content-"):
            content.setdefault(name, unfold(value))
    tree = parse(octets, RootHeader(end, content), brief=brief)
    if kept and not kept[-1].endswith(b"\n"):
        kept[-1] = kept[-1].removesuffix(b"\r") + b"\r\n"
    message_id = header.get(b"message-id")
    date = header.get(b"date")
    sent = parse_date(unfold(date[0])) if date else None
    return Summary(
        envelope=envelope(header),
        bodystructure=body_structure(octets, tree),
        kept=kept_fields.keep(kinds, kept),
        header_size=tree.body,
        message_id=_identifier(message_id[0]) if message_id else "",
        sent=None if sent is None else sent.seconds,
        preview=preview(octets, tree),
    )


def summarise_anyway(
    octets: bytes, failed: Callable[[Exception], None] = lambda _error: None, *, brief: bool = False
) -> Summary:
    """As `summarise`, and the last line of defence: a fault of ours costs nobody a message. It is listed without an envelope
    then, as one plain text below its header, and can be read, searched and moved as any other. `failed` is told of the fault
    at delivery; whoever reads later need not be. Raises Laborious if it is to be brief and cannot."""
    try:
        return summarise(octets, brief=brief)
    except Laborious:
        raise
    except Exception as error:  # whatever it is: nobody foresaw it
        failed(error)
    end = header_end(octets)
    found = islice(FIELD.finditer(octets, 0, min(end, MAX_HEADER)), MAX_FIELDS)
    kept = [field[0] for field in found if field[1].lower() in KINDS and field[0].endswith(b"\n")]
    structure = b'("TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "8BIT" %d %d NIL NIL NIL NIL)'
    return Summary(
        bodystructure=structure % (len(octets) - end, octets.count(b"\n", end)),
        kept=kept_fields.without_table(b"".join(kept)),
        header_size=end,
        message_id=message_id_of(octets),
    )


def message_id_of(octets: bytes) -> str:
    """A Summary's `message_id`, and nothing else of it: of a message, or of its beginning with the header."""
    for field in islice(FIELD.finditer(octets, 0, min(header_end(octets), MAX_HEADER)), MAX_FIELDS):
        if field[1].lower() == b"message-id":
            return _identifier(field[2])
    return ""


def _identifier(value: bytes) -> str:
    found = _MESSAGE_ID.search(unfold(value))
    return found[0].decode("utf-8", "replace") if found else ""


def preview(octets: bytes, tree: Part) -> str:
    """The start of what a person reads first in the message: its first plain text, else its first HTML."""
    fallback: Part | None = None
    for part in walk(tree):
        if part.type != b"text" or part.fields.get(b"content-disposition", b"")[:10].lower() == b"attachment":
            continue
        if part.subtype == b"plain":
            text = one_line(part_text(octets, part, _PREVIEW_SOURCE), PREVIEW_LENGTH)
            if text:
                return text
        elif fallback is None:
            fallback = part
    if fallback is None:
        return ""
    return one_line(part_text(octets, fallback, _PREVIEW_SOURCE_HTML), PREVIEW_LENGTH)
