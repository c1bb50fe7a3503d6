"""Encoded words in header fields to text (RFC 2047), as tolerant as senders are careless.

Security: strangers feed this. Linear, never raises; what is malformed stays as it stands.
"""

import re
from binascii import Error, a2b_base64

from pillarbox.mail.charset import decode

_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_words(value: bytes) -> str:
    """The text of an unfolded field value: encoded words decoded, everything else as UTF-8 or windows-1252."""
    if b"=?" not in value:
        return decode(value)
    text: list[str] = []
    position = 0
    pending = b""  # octets of adjacent words: senders cut characters in the middle
    pending_charset = ""
    for found in _WORD.finditer(value):
        between = value[position : found.start()]
        charset = found[1].decode("latin-1").lower()
        is_adjacent = position > 0 and not between.strip(b" \t\r\n")
        if not (is_adjacent and charset == pending_charset):
            text.append(decode(pending, pending_charset))
            pending = b""
            if not is_adjacent:  # white space between two encoded words is not shown (RFC 2047 §6.2)
                text.append(decode(between))
        pending_charset = charset
        pending += word_octets(found[2], found[3])
        position = found.end()
    text.append(decode(pending, pending_charset))
    text.append(decode(value[position:]))
    return "".join(text)


def word_octets(encoding: bytes, payload: bytes) -> bytes:
    """The octets of an encoded word's payload, `encoding` being B or Q in either case."""
    if encoding in b"qQ":
        return _HEX.sub(lambda found: bytes((int(found[1], 16),)), payload.replace(b"_", b" "))
    return lenient_base64(payload)


def lenient_base64(octets: bytes) -> bytes:
    """Decode base64 whatever else is in it: line breaks, missing padding, a lone last character."""
    try:
        return a2b_base64(octets)
    except Error:
        clean = _NOT_BASE64.sub(b"", octets)
        clean = clean[: len(clean) - (len(clean) % 4 == 1)]
        try:
            return a2b_base64(clean + b"=" * (-len(clean) % 4))
        except Error:
            return b""
