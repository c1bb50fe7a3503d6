"""SASLprep: one form for passwords that look the same (RFC 4013), so that every client computes the same octets.

Choice: code points that Unicode 3.2 did not have are let through, as RFC 3454 §7 has it for queries. Otherwise no
password could contain an emoji, and a client that prepares its side as a query would get the same octets anyway.

Security: strangers feed this; linear, raises only ProhibitedText.
"""

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


class ProhibitedText(ValueError):
    """The text contains characters that no password may contain: control characters, for instance."""


def saslprep(text: str) -> str:
    """The prepared form of a name or password. Raises ProhibitedText."""
    if text.isascii():
        if not text.isprintable():
            raise ProhibitedText("control characters are not allowed")
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )  # RFC 4013 §2.1
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibited(c) for c in prepared for prohibited in _PROHIBITED):
        raise ProhibitedText("a character that is not allowed")  # RFC 4013 §2.3
    if any(map(stringprep.in_table_d1, prepared)) and (  # RFC 3454 §6
        any(map(stringprep.in_table_d2, prepared))
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise ProhibitedText("left-to-right and right-to-left characters are mixed")
    return prepared
