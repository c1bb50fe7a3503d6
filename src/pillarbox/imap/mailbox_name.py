"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3) until the client says that it takes UTF-8.

Security: strangers feed this. Only the one canonical encoding of a name is read, so that no name has two spellings.
"""

import binascii
import re

from pillarbox.imap.errors import BadSyntax

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")  # what else stands behind "&" is found when the name is encoded again
_TO_SHIFT = re.compile(r"&|[^\x20-\x7e]+")


def decode_utf7(text: str) -> str:
    """A name from modified UTF-7. Raises BadSyntax."""
    if "&" not in text:
        return text
    plain = _SHIFTED.sub(_unshift, text)
    if encode_utf7(plain) != text:
        raise BadSyntax("The mailbox name is not in modified UTF-7")
    return plain


def encode_utf7(name: str) -> str:
    """A name in modified UTF-7: printable ASCII only."""
    return name if name.isascii() and name.isprintable() and "&" not in name else _TO_SHIFT.sub(_shift, name)


def _unshift(match: re.Match[str]) -> str:
    base64 = match[1]
    if not base64:
        return "&"
    try:
        octets = binascii.a2b_base64(base64.replace(",", "/") + "=" * (-len(base64) % 4))
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadSyntax("The mailbox name is not in modified UTF-7") from None


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    base64 = binascii.b2a_base64(match[0].encode("utf-16-be", "surrogatepass"), newline=False).decode()
    return "&" + base64.rstrip("=").replace("/", ",") + "-"
