"""Search keys on text: FROM, TO, CC, BCC, SUBJECT, HEADER, BODY, TEXT (RFC 9051 §6.4.4).

A string is looked for in what a person reads: encoded words, transfer encodings and charsets are decoded, tags of HTML
left out, case does not matter.
"""

from dataclasses import dataclass

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.search.column import field_text
from pillarbox.imap.search.key import KEY, Key, MessageKey, Reading
from pillarbox.imap.search.scope import Candidate, Cost
from pillarbox.mail.header import values_of
from pillarbox.mail.kept_fields import KINDS


@dataclass(frozen=True, slots=True)
class HeaderHas(MessageKey):
    """A field of this name (lower case) holds the needle; an empty needle asks whether there is such a field."""

    name: bytes
    needle: str
    probe: bytes  # what must be in the octets if there is nothing to decode; b"" for no such thing

    @property
    def cost(self) -> Cost:
        """The record, for the fields that are kept apart."""
        return Cost.RECORD if self.name in KINDS else Cost.HEADER

    def accepts(self, candidate: Candidate) -> bool:
        """Decode only where the octets do not say no."""
        header = candidate.record.summary.fields if self.name in KINDS else candidate.header
        if self.probe and self.probe not in header.lower() and b"=?" not in header and header.isascii():
            return False
        return any(self.is_in(value) for value in values_of(header, self.name))

    def is_in(self, value: bytes) -> bool:
        """Whether an unfolded value holds the needle."""
        if self.probe and self.probe not in value.lower() and b"=?" not in value and value.isascii():
            return False
        return self.needle in field_text(value)

    @property
    def has_column(self) -> bool:
        """Whether a column of the mailbox can answer."""
        return self.name in KINDS and "\0" not in self.needle


@dataclass(frozen=True, slots=True)
class BodyHas(MessageKey):
    """The body holds the needle."""

    needle: str

    @property
    def cost(self) -> Cost:
        """Everything."""
        return Cost.OCTETS

    def accepts(self, candidate: Candidate) -> bool:
        """In one of its texts."""
        return any(self.needle in text for text in candidate.body)


@dataclass(frozen=True, slots=True)
class TextHas(MessageKey):
    """The header or the body holds the needle."""

    needle: str

    @property
    def cost(self) -> Cost:
        """Everything."""
        return Cost.OCTETS

    def accepts(self, candidate: Candidate) -> bool:
        """The header first: it is shorter."""
        return self.needle in candidate.header_text or any(self.needle in text for text in candidate.body)


def header_key(name: bytes, needle: str) -> HeaderHas:
    """The key for a field's name and a folded needle."""
    words = max(needle.split(), key=len, default="")  # folding can stand at any space
    return HeaderHas(name, needle, words.encode() if words.isascii() else b"")


def _register(name: str) -> None:
    @KEY(name)
    def field(reading: Reading) -> Key:
        return header_key(name.lower().encode(), reading.text())


for _name in ("FROM", "TO", "CC", "BCC", "SUBJECT"):
    _register(_name)


@KEY("HEADER")
def header(reading: Reading) -> Key:
    """HEADER name string."""
    name = reading.cursor.sp().astring().lower()
    if not name or not name.isascii() or b":" in name or any(octet < 33 for octet in name):
        raise BadSyntax("Expected the name of a header field")
    return header_key(name, reading.text())


@KEY("BODY")
def body(reading: Reading) -> Key:
    """BODY string."""
    return BodyHas(reading.text())


@KEY("TEXT")
def text(reading: Reading) -> Key:
    """TEXT string."""
    return TextHas(reading.text())
