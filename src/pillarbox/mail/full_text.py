"""A message's whole text as SEARCH TEXT looks through it, for an index: header, text parts, names of attachments, folded.

Security: strangers wrote the message. The text is bounded, and nothing here raises on any octets.
"""

from pillarbox.mail.mime import parse
from pillarbox.mail.search_text import folded
from pillarbox.mail.text import body_texts, header_text

MAX_TEXT = 256 * 1024
"""Characters of one message that are worth indexing: a book's chapter. Longer ones are read when they are searched."""


def full_text(octets: bytes) -> tuple[str, bool]:
    """The folded text, and whether it is all of it."""
    tree = parse(octets)
    texts = [folded(header_text(octets, 0, tree.body))]
    size = len(texts[0])
    for text in body_texts(octets, tree):
        if size > MAX_TEXT:
            break
        texts.append(folded(text[: MAX_TEXT + 1]))
        size += len(texts[-1])
    joined = "\n".join(texts)
    return joined[:MAX_TEXT], size <= MAX_TEXT
