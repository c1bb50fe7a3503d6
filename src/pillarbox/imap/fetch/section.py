"""Sections of a message: what stands between the brackets of BODY[...] and BINARY[...] (RFC 9051 §6.4.5.1, §9)."""

import re
from dataclasses import dataclass
from typing import Self

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import MAX_NUMBER, Cursor
from pillarbox.imap.response import astring
from pillarbox.mail.header import select
from pillarbox.mail.mime import Part

MAX_NAMES = 1_000
"""Field names in one HEADER.FIELDS."""

_PATH = re.compile(rb"([1-9][0-9]{0,9})(?:\.(?=[0-9]))?")
_TEXT = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")
_FIELD = re.compile(rb"(?m)^([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")


@dataclass(frozen=True, slots=True)
class Section:
    """`path` are part numbers; `text` is "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME. `names` are the
    lower-case field names; `label` is the section as the response repeats it, without brackets."""

    path: tuple[int, ...]
    text: str
    names: frozenset[bytes]
    label: bytes

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """section, its brackets included."""
        cursor.expect(b"[", "a section in brackets")
        path = read_path(cursor)
        label = b".".join(b"%d" % number for number in path)
        text, names = "", frozenset[bytes]()
        if not path or cursor.accept(b"."):
            found = cursor.match(_TEXT)
            if found is not None:
                text = found[0].decode("ascii").upper()
            elif path:
                raise BadSyntax("Expected HEADER, TEXT or MIME")
            if text == "MIME" and not path:
                raise BadSyntax("MIME belongs to a part: BODY[1.MIME]")
            label += (b"." if path else b"") + text.encode()
            if text.startswith("HEADER.FIELDS"):
                given = cursor.sp().parenthesised(cursor.astring)
                if len(given) > MAX_NAMES:
                    raise BadSyntax(f"Expected at most {MAX_NAMES} field names")
                names = frozenset(name.lower() for name in given)
                label += b" (%b)" % b" ".join(map(astring, given))
        cursor.expect(b"]", "the end of the section")
        return cls(path, text, names, label)

    def locate(self, tree: Part) -> tuple[int, int] | None:
        """Where it is in the octets (of HEADER.FIELDS: the whole header), or None when there is no such part."""
        part = find_part(tree, self.path)
        if part is None:
            return None
        text = self.text
        if self.path:
            if text == "MIME":
                return part.start, part.body
            if text:
                if not part.is_message:  # RFC 9051 §6.4.5.1: HEADER and TEXT are of messages
                    return None
                part = part.parts[0]
        elif not text:
            return part.start, part.end
        return (part.start, part.body) if text.startswith("HEADER") else (part.body, part.end)

    def chosen(self, header: bytes) -> bytes:
        """What HEADER.FIELDS (.NOT) takes from a header, the empty line included."""
        if self.text == "HEADER.FIELDS":
            return select(header, self.names)
        names = self.names
        return b"".join([f[0] for f in _FIELD.finditer(header) if f[1].lower() not in names]) + b"\r\n"


def read_path(cursor: Cursor) -> tuple[int, ...]:
    """section-part, empty when none stands here; a "." in front of a word is left alone."""
    path: list[int] = []
    while found := cursor.match(_PATH):
        number = int(found[1])
        if number > MAX_NUMBER:
            raise BadSyntax("Expected a part's number")
        path.append(number)
        if not found[0].endswith(b"."):
            break
    return tuple(path)


def read_partial(cursor: Cursor) -> tuple[int, int] | None:
    """partial: the offset and the number of octets, None when none stands here."""
    found = cursor.match(_PARTIAL)
    if found is None:
        return None
    return int(found[1]), int(found[2])


def find_part(tree: Part, path: tuple[int, ...]) -> Part | None:
    """The part with these numbers. A message that is no multipart has part 1: its body (RFC 9051 §6.4.5.1)."""
    part, is_root = tree, True
    for number in path:
        if not is_root and part.is_message:
            part, is_root = part.parts[0], True
        if part.is_multipart and part.parts:
            if number > len(part.parts):
                return None
            part = part.parts[number - 1]
        elif not is_root or number != 1:
            return None
        is_root = False
    return part
