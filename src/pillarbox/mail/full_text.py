"""A message's whole text as SEARCH TEXT looks through it, for an index: header, text parts, names of attachments.

Security: strangers wrote the message. The text is bounded, and nothing here raises on any octets.
"""

from typing import NamedTuple

from pillarbox.mail.header import FIELD, MAX_HEADER, header_end
from pillarbox.mail.mime import RootHeader, first_of_each, parse
from pillarbox.mail.text import body_texts, fields_text

MAX_TEXT = 256 * 1024
"""Characters of one message that are worth indexing: a book's chapter. Longer ones are read when they are searched."""


class FullText(NamedTuple):
    """What SEARCH looks through, not folded: the header, the body's texts one below the other, and whether that is all."""

    header: str
    body: str
    is_whole: bool


def full_text(octets: bytes) -> FullText:
    """The text of a message, `MAX_TEXT` characters of header and body at most."""
    end = header_end(octets)
    fields = FIELD.findall(octets, 0, min(end, MAX_HEADER))
    content = first_of_each([field for field in fields if field[0][:8].lower() == b"content-"])
    tree = parse(octets, RootHeader(end, content))
    header = fields_text(fields)
    left = MAX_TEXT - len(header)
    texts = []
    for text in body_texts(octets, tree):
        if left < 0:
            break
        texts.append(text[:left])
        left -= len(text)
    return FullText(header[:MAX_TEXT], "\n".join(texts), left >= 0)
