"""IMAP's ENVELOPE of a header (RFC 9051 §7.5.2).

Security: strangers wrote the header. Linear, never raises.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pillarbox.mail.address_list import parse_addresses
from pillarbox.mail.header import unfold
from pillarbox.mail.nstring import nstring, string

ENVELOPE_FIELDS = frozenset(b"date subject from sender reply-to to cc bcc in-reply-to message-id".split())
"""Lower-case names of the fields that `envelope` looks at."""

_NUL, _CR, _QUOTE, _BACKSLASH = b'\0\r"\\'  # numbers, see `header.unfold`

Header = Mapping[bytes, Sequence[bytes]]
"""Raw values of a header's fields by lower-case name, in order."""


def envelope(header: Header) -> bytes:
    """The ENVELOPE, parentheses included."""
    author = _addresses(header, b"from")
    sender = _addresses(header, b"sender")
    reply_to = _addresses(header, b"reply-to")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(header, b"date"),
        _text(header, b"subject"),
        author,
        # RFC 9051 §7.5.2: absent or empty Sender and Reply-To are the same as From.
        author if sender == b"NIL" else sender,
        author if reply_to == b"NIL" else reply_to,
        _addresses(header, b"to"),
        _addresses(header, b"cc"),
        _addresses(header, b"bcc"),
        _text(header, b"in-reply-to"),
        _text(header, b"message-id"),
    )


def _text(header: Header, name: bytes) -> bytes:
    values = header.get(name)
    return string(unfold(values[0])) if values else b"NIL"


_USUAL_LENGTH = 128
"""Octets of an address list that may be seen again: the same people write to each other."""


def _addresses(header: Header, name: bytes) -> bytes:
    values = header.get(name)
    if not values:
        return b"NIL"
    value = unfold(values[0]) if len(values) == 1 else b", ".join(map(unfold, values))
    return _usual_list(value) if len(value) <= _USUAL_LENGTH else _list(value)


def _list(value: bytes) -> bytes:
    """An address list, unfolded, in ENVELOPE's form."""
    entries = parse_addresses(value)
    if not entries:
        return b"NIL"
    if value.isascii() and not (_BACKSLASH in value or _NUL in value or _CR in value or _QUOTE in value):
        # Nothing in it needs care, so no piece of it does.
        return b"(%b)" % b"".join(
            [
                b"(%b %b %b %b)"
                % (
                    b"NIL" if name is None else b'"%b"' % name,
                    b"NIL" if route is None else b'"%b"' % route,
                    b"NIL" if local is None else b'"%b"' % local,
                    b"NIL" if host is None else b'"%b"' % host,
                )
                for name, route, local, host in entries
            ]
        )
    return b"(%b)" % b"".join([b"(%b)" % b" ".join(map(nstring, entry)) for entry in entries])


_usual_list = lru_cache(maxsize=1024)(_list)
