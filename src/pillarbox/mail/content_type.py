"""Structured MIME field values: `type/subtype; name=value` and `disposition; name=value` (RFC 2045 §5.1, RFC 2231).

Security: strangers feed this. Linear in the value, bounded by MAX_PARAMETERS, never raises.
"""

import re
from itertools import islice
from typing import NamedTuple

from pillarbox.mail.charset import decode
from pillarbox.mail.encoded_word import decode_words

MAX_PARAMETERS = 200
"""Parameters of one field that are looked at; real mail has fewer than ten, RFC 2231 continuations some dozens."""

_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*\)")
_TYPE = re.compile(rb"[ \t]*([^\s/;()<>@,\\\"=?:\[\]]+)[ \t]*/[ \t]*([^\s/;()<>@,\\\"=?:\[\]]+)")
_TOKEN = re.compile(rb"[ \t]*([^\s;]+)")
_PARAMETER = re.compile(
    rb""";[ \t]*+([^\s;=()<>@,\\":/?\[\]]++)[ \t]*+=[ \t]*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"?|([^;\s"]*+))""", re.DOTALL
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(rb"(.+?)\*(?:(\d{1,4})(\*)?)?", re.DOTALL)
_OPENING, _BACKSLASH = b"(\\"  # numbers, see `header.unfold`
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

Parameters = tuple[tuple[bytes, bytes], ...]


class ContentType(NamedTuple):
    """Type and subtype in lower case; parameters in order, names in lower case, values unquoted but not decoded."""

    type: bytes
    subtype: bytes
    parameters: Parameters


def parse_content_type(value: bytes) -> ContentType | None:
    """An unfolded Content-Type. None when it is not of the form type/subtype."""
    if _OPENING in value:
        value = without_comments(value)
    found = _TYPE.match(value)
    if found is None:
        return None
    return ContentType(found[1].lower(), found[2].lower(), parse_parameters(value, found.end()))


def parse_token(value: bytes) -> tuple[bytes, Parameters]:
    """An unfolded Content-Disposition, or another value of that shape: the token as it stands, its parameters."""
    if _OPENING in value:
        value = without_comments(value)
    found = _TOKEN.match(value)
    return (b"", ()) if found is None else (found[1], parse_parameters(value, found.end()))


def without_comments(value: bytes) -> bytes:
    """The value without comments outside of quoted strings."""
    return b"".join(
        piece if quoted % 2 else _COMMENT.sub(b" ", piece)
        for quoted, piece in enumerate(re.split(rb'("[^"]*")', value))
    )


def parse_parameters(value: bytes, position: int = 0) -> Parameters:
    """The `; name=value` list from `position` on. What is no parameter is passed over."""
    parameters: list[tuple[bytes, bytes]] = []
    for found in islice(_PARAMETER.finditer(value, position), MAX_PARAMETERS):
        name, quoted, token = found.groups()
        if quoted is None:
            parameters.append((name.lower(), token))
        else:
            parameters.append((name.lower(), _ESCAPE.sub(rb"\1", quoted) if _BACKSLASH in quoted else quoted))
    return tuple(parameters)


def parameter(parameters: Parameters, name: bytes) -> bytes:
    """The first value of this name, or b""."""
    for each, value in parameters:
        if each == name:
            return value
    return b""


def decoded_parameter(parameters: Parameters, name: bytes) -> str:
    """A parameter's text with RFC 2231 continuations and charsets, and the RFC 2047 words that Gmail and Thunderbird
    put into file names, decoded; "" if there is none."""
    sections: dict[int, tuple[bytes, bool]] = {}
    plain = None
    for each, value in parameters:
        if each == name:
            plain = value if plain is None else plain
        elif each.startswith(name) and (found := _SECTION.fullmatch(each)) and found[1] == name:
            number = int(found[2] or 0)
            sections.setdefault(number, (value, found[2] is None or found[3] is not None))
    if not sections:
        return decode_words(plain) if plain else ""
    charset = b""
    octets: list[bytes] = []
    for number in range(len(sections)):
        if number not in sections:
            break
        value, is_extended = sections[number]
        if is_extended:
            if number == 0 and value.count(b"'") >= 2:
                charset, _language, value = value.split(b"'", 2)
            value = _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), value)
        octets.append(value)
    return decode(b"".join(octets), charset.decode("latin-1"))
