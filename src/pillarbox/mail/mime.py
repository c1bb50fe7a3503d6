"""One pass over a message to the tree of its parts, as offsets into the octets (RFC 2045, RFC 2046).

Security: strangers feed this. It is iterative, bounded (MAX_DEPTH, MAX_PARTS, MAX_LOOKALIKES) and linear, and never
raises: beyond a limit the rest of the message is one opaque part. The octets are only looked at, never copied.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pillarbox.mail.content_type import ContentType, Parameters, parameter, parse_content_type
from pillarbox.mail.header import MAX_HEADER, header_end, unfold
from pillarbox.mail.pieces import finder

MAX_DEPTH = 100
"""Parts inside of parts. Real mail stays below ten, even when it was forwarded all week."""

MAX_PARTS = 10_000
"""Parts of one message, those that hold others included: a day's digest has hundreds."""

MAX_LOOKALIKES = 1_000_000
"""Lines that begin like a delimiter and are none, before the search ends (half a second of work)."""

MAX_BOUNDARY = 998
"""Octets of a boundary that is taken seriously: 70 by RFC 2046 §5.1.1, but a line's worth is seen in the wild."""

MAX_FIELDS = 100_000
"""Content-* fields of a whole message that are looked at."""

BRIEF_PARTS = 32
BRIEF_LOOKALIKES = 500
"""What a brief look takes of either: some milliseconds at most, where real mail needs a fraction of one."""

_CONTENT_FIELD = re.compile(rb"(?mi)^(content-[!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)")
_IDENTITY = frozenset((b"", b"7bit", b"8bit", b"binary"))


@dataclass(slots=True)
class Part:
    """One part. `start` ≤ `body` ≤ `end` are offsets: header from `start`, its empty line included; body up to `end`.

    `type` and `subtype` are lower case. `parts` are a multipart's children, or a message's one. `fields` are the
    unfolded values of the part's Content-* fields by lower-case name (the first of each). `is_opaque`: a limit was
    reached here and the body was not looked into.
    """

    start: int
    body: int
    end: int
    type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    fields: Mapping[bytes, bytes] = field(default_factory=dict)
    parts: "list[Part]" = field(default_factory=list)
    is_opaque: bool = False

    @property
    def is_multipart(self) -> bool:
        """Whether it has children of its own (and is not a message)."""
        return self.type == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether its body is a message, which is its only child."""
        return self.type == b"message" and bool(self.parts)

    @property
    def encoding(self) -> bytes:
        """The Content-Transfer-Encoding, lower case, "7bit" if there is none."""
        return transfer_encoding(self.fields)


def transfer_encoding(part_fields: Mapping[bytes, bytes]) -> bytes:
    """The Content-Transfer-Encoding's token, lower case, "7bit" if there is none."""
    words = part_fields.get(b"content-transfer-encoding", b"").split(None, 1)
    return words[0].rstrip(b";").lower() if words else b"7bit"


class Laborious(Exception):
    """A brief look does not suffice for this message."""


def parse(octets: bytes, root: "RootHeader | None" = None, *, brief: bool = False) -> Part:
    """The tree of a message's parts. A message without MIME fields is one text/plain part.

    `root` saves reading the message's own header again. A brief look raises Laborious, at many parts or at a message inside,
    whose header may be long; else nothing is raised.
    """
    return _Parser(octets, root, brief).run()


def parse_anyway(octets: bytes) -> Part:
    """As `parse`; should a fault of ours make that raise, the message is one plain text, as its summary says then, too."""
    try:
        return parse(octets)
    except Exception:  # nobody foresaw it, and the log had it when the message came
        return Part(0, header_end(octets), len(octets))


class RootHeader(NamedTuple):
    """A message's own header as it was read already: where it ends, and its unfolded Content-* fields."""

    end: int
    fields: dict[bytes, bytes]


class _Header(NamedTuple):
    """A part's header: its fields, how many there were, and what they declare the part to be, if they do."""

    fields: Mapping[bytes, bytes]
    number: int
    content: ContentType | None


def _read_header(octets: bytes, limit: int = MAX_FIELDS) -> _Header:
    found = _CONTENT_FIELD.findall(octets)[:limit] if limit > 0 else []
    fields = first_of_each(found)
    return _Header(fields, len(found), _content_type(fields))


def first_of_each(header: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The value that counts of each name, unfolded; names in lower case."""
    first: dict[bytes, bytes] = {}
    for name, value in header:
        first.setdefault(name.lower(), unfold(value))
    return first


_usual_header = lru_cache(maxsize=512)(_read_header)
"""Most parts begin with one of a few headers."""

_USUAL_HEADER = 128
"""Octets of a header that may be seen again."""


def _content_type(part_fields: Mapping[bytes, bytes]) -> ContentType | None:
    declared = part_fields.get(b"content-type")
    if declared is None:
        return None
    read = _usual_content_type if len(declared) <= USUAL_LENGTH else parse_content_type
    return read(declared) or _PLAIN  # RFC 2045 §5.2: what cannot be understood is plain text


_PLAIN = ContentType(b"text", b"plain", ())
_usual_content_type = lru_cache(maxsize=512)(parse_content_type)
"""Most parts are one of a few kinds."""

USUAL_LENGTH = 60
"""Octets of a Content-Type that may be seen again: a boundary does not fit, which would not."""


@dataclass(slots=True)
class _Frame:
    """A part that is still open. `boundary` is b"" for a message and for a multipart that was closed."""

    part: Part
    boundary: bytes = b""
    shadowed: int | None = None


class _Parser:
    """The state of one pass: the stack of open parts, and the delimiters that may come."""

    __slots__ = (
        "blank", "brief", "count", "delimiter", "fields_left", "lone_blank", "lookalikes", "most_parts", "needle", "octets",
        "open", "root", "search", "stack", "stop",
    )  # fmt: skip

    def __init__(self, octets: bytes, root: RootHeader | None, brief: bool) -> None:  # noqa: FBT001
        self.octets = octets
        self.search = finder(octets)
        self.root = root
        self.stop = len(octets)
        self.stack: list[_Frame] = []
        self.open: dict[bytes, int] = {}  # boundary -> index in the stack
        self.needle = b""  # what every delimiter line begins with now
        self.delimiter = (0, False, 0)  # the last one found: whose, whether it closes, where its line ends
        self.count = 0
        self.blank = -1
        self.lone_blank = -1
        self.fields_left = MAX_FIELDS
        self.brief = brief
        self.most_parts = BRIEF_PARTS if brief else MAX_PARTS
        self.lookalikes = BRIEF_LOOKALIKES if brief else MAX_LOOKALIKES

    def run(self) -> Part:
        root, at = self.begin(0, b"text", b"plain")
        while at >= 0:
            index, closes, line_end = self.delimiter
            end = (
                at - 1 if at and self.octets[at - 1] == 13 else at
            )  # the CRLF is the delimiter's own (RFC 2046 §5.1.1)
            self.close_above(index, end)
            frame = self.stack[index]
            if closes:
                self.forget(index)
                at = self.find(line_end - 1)
                continue
            is_digest = frame.part.subtype == b"digest"
            default = (b"message", b"rfc822") if is_digest else (b"text", b"plain")
            part, at = self.begin(line_end, *default)
            frame.part.parts.append(part)
        self.close_above(-1, self.stop)
        return root

    def begin(self, start: int, maintype: bytes, subtype: bytes) -> tuple[Part, int]:
        """A part begins, and perhaps the messages in it. Returns it and where the next delimiter is (-1: none)."""
        first: Part | None = None
        outer: Part | None = None
        while True:
            part = Part(start, start, self.stop, maintype, subtype)
            self.count += 1
            first = first or part
            if outer is not None:
                outer.parts.append(part)
            if self.count >= self.most_parts:
                self.give_up()
                part.is_opaque = True
                part.type, part.subtype = b"application", b"octet-stream"
                self.stack.append(_Frame(part))
                return first, -1
            at = self.read_header(part)
            self.stack.append(_Frame(part))
            if at is not None:
                return first, at
            outer = self.look_inside(part)
            if outer is None:
                return first, self.find(max(part.body - 1, 0))
            start, maintype, subtype = part.body, b"text", b"plain"

    def read_header(self, part: Part) -> int | None:
        """Find the header's end and read its Content-* fields. Returns a delimiter's place if one cuts it short."""
        octets, start = self.octets, part.start
        if self.root is not None:
            (part.body, part.fields), self.root = self.root, None
            _declare(part, _content_type(part.fields))
            return None
        at: int | None = None
        if octets.startswith(b"\r\n", start):
            stop = start + 2
        elif octets.startswith(b"\n", start):
            stop = start + 1
        else:
            # An earlier delimiter ends a header that has no empty line.
            stop = self.blank_line(start)
        before = max(start - 1, 0)
        if self.open and self.search(self.needle, before, stop) >= 0:
            cut = self.find(before, stop)
            if cut >= 0:
                at = cut
                stop = max(start, cut - 1 if cut and octets[cut - 1] == 13 else cut)
        part.body = stop
        if stop - start <= _USUAL_HEADER and self.fields_left > 0:
            header = _usual_header(octets[start:stop])
        else:
            header = _read_header(octets[start : min(stop, start + MAX_HEADER)], self.fields_left)
        part.fields = header.fields
        self.fields_left -= header.number
        _declare(part, header.content)
        return at

    def blank_line(self, start: int) -> int:
        """The end of the next empty line from `start` on, or the end of everything."""
        # What was found before is still the next one unless `start` is behind it: no octet is searched twice.
        if self.blank < start:
            found = self.search(b"\n\r\n", start, self.stop)
            self.blank = found if found >= 0 else self.stop
        if self.lone_blank < start:
            found = self.search(b"\n\n", start, min(self.blank + 1, self.stop))
            self.lone_blank = found if found >= 0 else self.blank
        if self.lone_blank < self.blank:
            return self.lone_blank + 2
        return min(self.blank + 3, self.stop)

    def look_inside(self, part: Part) -> Part | None:
        """Open a multipart's boundary. Returns the part itself if it is a message, whose header comes next."""
        if part.type == b"multipart":
            boundary = parameter(part.parameters, b"boundary").rstrip(b" \t")
            if not boundary or len(boundary) > MAX_BOUNDARY or len(self.stack) > MAX_DEPTH:
                part.is_opaque = True
                return None
            frame = self.stack[-1]
            frame.boundary = boundary
            frame.shadowed = self.open.get(boundary)
            self.open[boundary] = len(self.stack) - 1
            self.aim()
        elif part.type == b"message" and part.subtype in (b"rfc822", b"global"):
            # RFC 2046 §5.2.1: an encoded message is not one we can look into.
            if len(self.stack) > MAX_DEPTH or part.encoding not in _IDENTITY:
                part.is_opaque = True
                return None
            self.give_up()
            return part
        return None

    def find(self, start: int, stop: int | None = None) -> int:
        """The place of the next delimiter line's `\n--`, from `start` on, or -1; sets `delimiter`."""
        if not self.open:
            return -1
        octets, limit = self.octets, self.stop if stop is None else stop
        needle, known, search = self.needle, self.open, self.search
        at = search(needle, start, limit)
        while at >= 0:
            line_end = search(b"\n", at + 3, self.stop)
            line_end = self.stop if line_end < 0 else line_end + 1
            if line_end - at < MAX_BOUNDARY + 100:
                line = octets[at + 3 : line_end].rstrip(b" \t\r\n")  # transport padding, RFC 2046 §5.1.1
                index = known.get(line)
                closes = index is None and line.endswith(b"--")
                if closes:
                    index = known.get(line[:-2])
                if index is not None:
                    self.delimiter = (index, closes, line_end)
                    return at
            self.lookalikes -= 1
            if self.lookalikes < 0:
                self.give_up()
                return -1
            at = search(needle, line_end - 1, limit)
        return -1

    def give_up(self) -> None:
        """A limit was reached, or something that may take long: too much for a brief look."""
        if self.brief:
            raise Laborious

    def aim(self) -> None:
        """Work out what all open delimiters have in common: the longer it is, the faster the search."""
        if not self.open:
            return
        low, high = min(self.open), max(self.open)
        if low == high:
            self.needle = b"\n--" + low
            return
        length = 0
        for one, other in zip(low, high, strict=False):
            if one != other:
                break
            length += 1
        self.needle = b"\n--" + low[:length]

    def forget(self, index: int) -> None:
        """The boundary of this frame is done with (RFC 2046 §5.1.1: what follows is its epilogue)."""
        frame = self.stack[index]
        if frame.shadowed is None:
            del self.open[frame.boundary]
        else:
            self.open[frame.boundary] = frame.shadowed
        frame.boundary = b""
        self.aim()

    def close_above(self, index: int, end: int) -> None:
        """Every part above this frame ends here."""
        stack = self.stack
        while len(stack) > index + 1:
            if stack[-1].boundary:
                self.forget(len(stack) - 1)
            part = stack.pop().part
            part.end = max(part.body, end)
            if part.type == b"multipart" and not part.parts:
                _make_readable(part)


def _declare(part: Part, content: ContentType | None) -> None:
    """Say what a part is."""
    if content is not None:
        part.type, part.subtype, part.parameters = content


def _make_readable(part: Part) -> None:
    """A multipart in which no part was found: let people read what is there as plain text, or get it when too deep."""
    if part.is_opaque and parameter(part.parameters, b"boundary"):
        part.type, part.subtype, part.parameters = b"application", b"octet-stream", ()
    else:
        part.type, part.subtype, part.parameters = b"text", b"plain", ()
