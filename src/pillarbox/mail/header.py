"""Header fields as octets: find, iterate, unfold, add and remove them without touching the body (RFC 5322 §2.2).

Security: strangers feed this. Every function is linear in the octets it is given, and none of them raises on any octets.
Adding fields is for our own values: a name or value that would start a new field raises ValueError.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pillarbox.mail.pieces import find

FIELD = re.compile(rb"(?m)^([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
"""One field with its folded lines: name and raw value. `finditer` passes over lines that are no field."""

MAX_HEADER = 256 * 1024
"""Octets of one header that are looked into: what SMTP accepts (real headers are below 32 KiB)."""

_LINE_BREAK = re.compile(rb"\r?\n(?=[ \t])|\r?\n\Z")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\x00\r\n]")
_NAME = re.compile(rb"[!-9;-~]+")
_LF = 0x0A  # `in` is eight times as fast for a number: octets are first tried as one, which raises an error that is forgotten


class Field(NamedTuple):
    """A header field: `name` in lower case, `value` raw (folded, as it stands), and where it is in the octets."""

    name: bytes
    value: bytes
    start: int
    end: int


def header_end(octets: bytes, start: int = 0, stop: int | None = None) -> int:
    """The offset after the empty line that ends the header which begins at `start`; `stop` when there is none."""
    stop = len(octets) if stop is None else stop
    if octets.startswith((b"\r\n", b"\n"), start, stop):
        return start + (2 if octets[start] == 13 else 1)
    crlf = find(octets, b"\n\r\n", start, stop)
    lf = find(octets, b"\n\n", start, stop if crlf < 0 else crlf + 1)
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else stop


def fields(octets: bytes, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """The fields of a header in order, the body not included. A line that is no field is passed over."""
    stop = header_end(octets, start) if stop is None else stop
    for found in FIELD.finditer(octets, start, stop):
        yield Field(found[1].lower(), found[2].removesuffix(b"\r"), found.start(), found.end())


@lru_cache(maxsize=256)
def _selector(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Finds runs of fields of these names."""
    # What begins with an octet is looked for twice as fast as what begins with "^"; a class is the one thing that a choice
    # rules out without a try; and a match costs more than a line, so that one match takes all fields that stand together.
    by_first: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        by_first.setdefault(name[:1], []).append(re.escape(name[1:]))
    choices = [
        b"[%b%b](?i:%b)" % (re.escape(first), re.escape(first.upper()), b"|".join(rests))
        for first, rests in by_first.items()
        if first
    ]
    start = b"(?:" + (b"|".join(choices) or b"(?!)") + rb")[ \t]*+:"
    return re.compile(rb"\n(" + start + rb".*+(?:\n(?:[ \t]|" + start + rb").*+)*+)")


def select(header: bytes, names: frozenset[bytes]) -> bytes:
    """The raw fields of these names (lower case) in order, line ends included, and an empty line behind them."""
    lines = b"\n" + header
    found: list[bytes] = _selector(names).findall(lines)
    if found and header[-1] != 0x0A and lines.endswith(b"\n" + found[-1]):
        found[-1] = found[-1].removesuffix(b"\r") + b"\r"  # the last line has no end
    found.append(b"\r\n")
    return b"\n".join(found)


def value_of(header: bytes, name: bytes) -> bytes | None:
    """The unfolded, stripped value of the first field of this name (lower case), or None."""
    return next(iter(values_of(header, name)), None)


def values_of(header: bytes, name: bytes) -> list[bytes]:
    """The unfolded, stripped values of all fields of this name (lower case)."""
    lowered = header.lower()
    values: list[bytes] = []
    at = 0 if lowered.startswith(name) else lowered.find(b"\n" + name) + 1 or -1
    while at >= 0:
        found = FIELD.match(header, at)
        if found is not None and len(found[1]) == len(name):
            values.append(unfold(found[2]))
        at = lowered.find(b"\n" + name, at) + 1 or -1
    return values


def unfold(value: bytes) -> bytes:
    """A raw value on one line, without the white space around it. Folding white space stays (RFC 5322 §2.2.3)."""
    if _LF in value:
        value = _LINE_BREAK.sub(b"", value).replace(b"\n", b" ")
    return value.strip(b" \t\r\n")


def render(name: bytes, value: bytes) -> bytes:
    """One field as octets with its CRLF. The value may be folded already: each line break is CRLF and white space.

    Raises ValueError for anything that would not stay one field (header injection).
    """
    if not _NAME.fullmatch(name):
        raise ValueError("not a field name")
    if _FORBIDDEN_IN_VALUE.search(value.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")):
        raise ValueError("a field's value must stay on its own lines")
    return name + b": " + value + b"\r\n"


def add(octets: bytes, *new_fields: bytes) -> bytes:
    """The message with rendered fields (see `render`) above all others."""
    return b"".join((*new_fields, octets))


@lru_cache(maxsize=64)
def _named(names: frozenset[bytes]) -> re.Pattern[bytes]:
    alternatives = b"|".join(sorted(map(re.escape, names))) or rb"(?!)"
    return re.compile(rb"(?mi)^(" + alternatives + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")


def present(header: bytes, names: frozenset[bytes]) -> frozenset[bytes]:
    """Which of these names (lower case) have a field in the header, which is given without a body."""
    return frozenset(name.lower() for name in _named(names).findall(header))


def remove(octets: bytes, names: frozenset[bytes]) -> bytes:
    """The message without the fields of these names (lower case); the body and all other fields stay as they are."""
    stop = header_end(octets)
    return _named(names).sub(b"", octets[:stop]) + octets[stop:]


def count(octets: bytes, name: bytes) -> int:
    """How many fields of this name (lower case) the header has."""
    return sum(field.name == name for field in fields(octets))
