"""IMAP's BODYSTRUCTURE of a parsed message, with all its extension data, and BODY, which has none (RFC 9051 §7.5.2).

Security: strangers wrote the message. Recursion is bounded by the parser's MAX_DEPTH; nothing raises.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from pillarbox.mail.content_type import Parameters, parse_token
from pillarbox.mail.envelope_item import ENVELOPE_FIELDS, envelope
from pillarbox.mail.header import FIELD, MAX_HEADER
from pillarbox.mail.mime import USUAL_LENGTH, Part
from pillarbox.mail.nstring import nstring, string
from pillarbox.mail.pieces import count

MAX_FIELDS = 2_000
"""Fields of one header that are looked at: real ones have less than a hundred."""

_LANGUAGE = re.compile(rb"[A-Za-z0-9-]+")


class _LineCounter:
    """Line ends before an offset; offsets are asked for in ascending order, so no octet is counted twice."""

    __slots__ = ("lines", "octets", "position")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.position = 0
        self.lines = 0

    def until(self, position: int) -> int:
        if position > self.position:
            self.lines += count(self.octets, b"\n", self.position, position)
            self.position = position
        return self.lines


def body_structure(octets: bytes, tree: Part) -> bytes:
    """The BODYSTRUCTURE of a message, parentheses included."""
    return _write(octets, tree, _LineCounter(octets))


def _write(octets: bytes, part: Part, lines: _LineCounter) -> bytes:
    fields = part.fields
    if part.type == b"multipart" and part.parts:
        extension = b"" if not fields else _extension(fields)
        return b"(%b %b %b %b)" % (
            b"".join([_write(octets, child, lines) for child in part.parts]),
            string(part.subtype),
            _parameters(part.parameters),
            extension or b"NIL NIL NIL",
        )
    size = part.end - part.body
    maintype, subtype = part.type, part.subtype
    extra = b""
    if maintype == b"text":
        extra = b" %d" % count(octets, b"\n", part.body, part.end)
    elif maintype == b"message" and subtype in (b"rfc822", b"global"):
        if part.parts:
            before = lines.until(part.body)
            child = part.parts[0]
            inner = _write(octets, child, lines)
            extra = b" %b %b %d" % (_envelope(octets, child), inner, lines.until(part.end) - before)
        else:  # too deep, encoded or cut off: it cannot be described as a message
            maintype, subtype = b"application", b"octet-stream"
    declared = fields.get(b"content-type")
    parameters = part.parameters
    if not parameters and maintype == b"text" and declared is None:
        parameters = ((b"charset", b"us-ascii"),)  # RFC 2045 §5.2
    kind = _usual_kind if declared is None or len(declared) <= USUAL_LENGTH else _kind
    start = kind(maintype, subtype, parameters)
    if fields.keys() <= _USUAL_FIELDS:
        return b"(%b NIL NIL %b %d%b NIL NIL NIL NIL)" % (start, string(part.encoding), size, extra)
    return b"(%b %b %b %b %d%b %b %b)" % (
        start,
        nstring(fields.get(b"content-id")),
        nstring(fields.get(b"content-description")),
        string(part.encoding),
        size,
        extra,
        nstring(fields.get(b"content-md5")),
        _extension(fields),
    )


_USUAL_FIELDS = frozenset((b"content-type", b"content-transfer-encoding"))


def _kind(maintype: bytes, subtype: bytes, parameters: Parameters) -> bytes:
    return b"%b %b %b" % (string(maintype), string(subtype), _parameters(parameters))


_usual_kind = lru_cache(maxsize=512)(_kind)


def _envelope(octets: bytes, part: Part) -> bytes:
    header: dict[bytes, list[bytes]] = {}
    stop = min(part.body, part.start + MAX_HEADER)
    for found in islice(FIELD.finditer(octets, part.start, stop), MAX_FIELDS):
        name = found[1].lower()
        if name in ENVELOPE_FIELDS:
            header.setdefault(name, []).append(found[2])
    return envelope(header)


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


def _extension(fields: Mapping[bytes, bytes]) -> bytes:
    """Disposition, language and location."""
    declared = fields.get(b"content-disposition")
    disposition = b"NIL"
    if declared:
        token, parameters = parse_token(declared)
        if token:
            disposition = b"(%b %b)" % (string(token.lower()), _parameters(parameters))
    languages = fields.get(b"content-language")
    language = b"NIL"
    if languages:
        tags = _LANGUAGE.findall(languages)[:20]
        language = b"(%b)" % b" ".join(map(string, tags)) if tags else b"NIL"
    location = fields.get(b"content-location")
    return b"%b %b %b" % (disposition, language, b"NIL" if location is None else string(b"".join(location.split())))


_TOKEN = re.compile(rb'[ ]*(?:(\()|(\))|("(?:[^"\\]|\\.)*+")|\{(\d+)\}\r\n|([^ ()"{]+))', re.DOTALL)


class _Node(NamedTuple):
    """A string, atom or list of a BODYSTRUCTURE: its octets as they are written, and a list's members."""

    raw: bytes
    members: "list[_Node] | None" = None


def without_extensions(structure: bytes) -> bytes:
    """The BODY item for a BODYSTRUCTURE that `body_structure` made."""
    return _write_basic(_read(structure))


def _read(structure: bytes) -> _Node:
    """An S-expression as nested nodes; strings and literals stay as they are written."""
    stack: list[list[_Node]] = [[]]
    starts: list[int] = []
    position = 0
    while found := _TOKEN.match(structure, position):
        position = found.end()
        if found[1]:
            starts.append(position - 1)
            stack.append([])
        elif found[2]:
            if not starts:
                break
            members = stack.pop()
            stack[-1].append(_Node(structure[starts.pop() : position], members))
        elif found[4]:
            start, position = found.start(4) - 1, position + int(found[4])
            stack[-1].append(_Node(structure[start:position]))
        else:
            stack[-1].append(_Node(found[3] or found[5]))
    return stack[0][0] if stack[0] else _Node(b"NIL")


def _write_basic(node: _Node) -> bytes:
    members = node.members
    if not members:
        return node.raw
    if members[0].members is not None:  # a multipart: its children come first, then its subtype
        count = next((i for i, each in enumerate(members) if each.members is None), len(members) - 1)
        return b"(%b %b)" % (b"".join(map(_write_basic, members[:count])), members[count].raw)
    maintype = members[0].raw.lower()
    shown = [each.raw for each in members]
    if maintype == b'"text"':
        return b"(%b)" % b" ".join(shown[:8])
    if maintype == b'"message"' and shown[1].lower() in (b'"rfc822"', b'"global"') and len(members) > 9:
        return b"(%b %b %b)" % (b" ".join(shown[:8]), _write_basic(members[8]), shown[9])
    return b"(%b)" % b" ".join(shown[:7])
