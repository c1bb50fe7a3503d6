"""IMAP's strings, ready to send (RFC 9051 §4.3): quoted where that is allowed, else a literal, never a NUL.

Security: the octets come from strangers' mail; what is written here can never end a string early.
"""

import re

_PLAIN = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f]*")
_NUL, _LF, _CR = b"\0\n\r"  # numbers, see `header.unfold`
_SPECIAL = re.compile(rb'(["\\])')


def string(value: bytes) -> bytes:
    """A string. 8-bit octets and line breaks make it a literal, which is right with and without UTF8=ACCEPT."""
    if _PLAIN.fullmatch(value):
        return b'"%b"' % value
    if _NUL in value:
        value = value.replace(b"\0", b"")  # RFC 9051 §4.3: NUL is in no string
    if value.isascii() and _LF not in value and _CR not in value:
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if value is None else string(value)
