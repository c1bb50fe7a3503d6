"""What the full-text index is given of a message: the words of its header and of its body, folded, each once and in no order.

That is a fraction of the text where people quote each other, and it says all about a needle without white space: the text
holds it if one of its words does. A needle with white space lies in two words or more, of which the trigrams tell (`entry`).
"""

import re
from dataclasses import dataclass

from pillarbox.mail.full_text import FullText
from pillarbox.mail.search_text import folded

MAX_WORDS = 512 * 1024
"""Characters of the words of a header, or a body. A text has half of that at most, but folding makes eighteen letters of one
(U+FDFA); what is as long as this may have been cut."""

_USUAL = b"etaoinsrhldcumfpgwybvkxjqz0123456789.-/:_@=,<>()\"'+&;?!#%*"
_EXCHANGED = bytes(
    octet if octet <= 32 or octet > 126 else 0x80 + 29 * (_USUAL.find(octet) % 64) % 64 for octet in range(256)
)
_INK = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a blob's header and body in UTF-8, white space between them, and whether these are all of them."""

    blob: int
    header: bytes
    body: bytes
    is_whole: bool

    @property
    def entry(self) -> bytes:
        """What the trigrams are taken from: all words, a space around each, and their octets exchanged."""
        return exchanged(f" {self.header.decode()} {self.body.decode()} ").encode()


def words(blob: int, text: FullText) -> Words:
    """The words of a text."""
    header, body = words_of(text.header), words_of(text.body)
    is_whole = text.is_whole and len(header) < MAX_WORDS and len(body) < MAX_WORDS
    try:
        return Words(blob, header.encode(), body.encode(), is_whole)
    except UnicodeEncodeError:  # half of a surrogate pair
        return Words(blob, header.encode("utf-8", "replace"), body.encode("utf-8", "replace"), is_whole=False)


def words_of(text: str) -> str:
    """The words of a text, those that are ASCII first."""
    text = text.replace("\0", " ")  # NUL would end what SQLite looks at
    if text.isascii():
        return " ".join(set(folded(text).split()))
    # Folding is dear with other letters than ASCII's, which few words of most languages have. No word is folded otherwise for
    # its neighbours: a space has no accents.
    found = set(text.split())
    plain = [word for word in found if word.isascii()]
    found.difference_update(plain)
    others = folded(" ".join(found))[:MAX_WORDS]
    return f"{' '.join(set(folded(' '.join(plain)).split()))} {others}"


def exchanged(text: str) -> str:
    """Each character of ASCII that is not white space for always the same other one: two octets of UTF-8 that differ in six
    bits. FTS5 keeps what it collects in a table of hashes that are alike for trigrams of ASCII (13 of them on one place for the
    mail of an hour, now one)."""
    if text.isascii():
        return text.encode().translate(_EXCHANGED).decode("latin-1")
    return _INK.sub(lambda found: exchanged(found[0]), text)
