"""A message's whole text as SEARCH TEXT looks through it, for an index: header, text parts, names of attachments.

Security: strangers wrote the message. The text is bounded, and nothing here raises on any octets.
"""

from pillarbox.mail.header import FIELD, MAX_HEADER, header_end
from pillarbox.mail.mime import RootHeader, first_of_each, parse
from pillarbox.mail.text import body_texts, fields_text

MAX_TEXT = 256 * 1024
"""Characters of one message that are worth indexing: a book's chapter. Longer ones are read when they are searched."""


def full_text(octets: bytes) -> tuple[str, bool]:
    """The text, not folded, and whether it is all of it."""
    end = header_end(octets)
    header = FIELD.findall(octets, 0, min(end, MAX_HEADER))
    content = first_of_each([field for field in header if field[0][:8].lower() == b"content-"])
    tree = parse(octets, RootHeader(end, content))
    texts = [fields_text(header)]
    size = len(texts[0])
    for text in body_texts(octets, tree):
        if size > MAX_TEXT:
            break
        texts.append(text[: MAX_TEXT + 1])
        size += len(texts[-1])
    joined = "\n".join(texts)
    return joined[:MAX_TEXT], size <= MAX_TEXT
