"""BINARY[...], BINARY.PEEK[...] and BINARY.SIZE[...]: parts with their transfer encoding undone (RFC 9051 §6.4.5, RFC 3516)."""

from dataclasses import dataclass

from pillarbox.imap.errors import Refused
from pillarbox.imap.fetch.item import ITEM, Batch, Item, Literal, Message, Need
from pillarbox.imap.fetch.section import find_part, read_partial, read_path
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import capability
from pillarbox.mail.text import decode_transfer

capability("BINARY")


def decoded(message: Message, path: tuple[int, ...]) -> bytes | None:
    """A part's decoded body, None when there is no such part. Raises Refused for an encoding that is not known."""
    if not path:
        return message.octets
    part = find_part(message.tree, path)
    if part is None:
        return None
    body = message.octets[part.body : part.end]
    return body if part.is_multipart or part.is_message else _known(decode_transfer(body, part.encoding))


def _known(octets: bytes | None) -> bytes:
    if octets is None:
        raise Refused("The part has a transfer encoding that is not known here: fetch it with BODY", "UNKNOWN-CTE")
    return octets


@dataclass(frozen=True, slots=True)
class BinaryItem(Literal):
    """BINARY[path]<partial>."""

    path: tuple[int, ...]
    partial: tuple[int, int] | None
    label: bytes
    marks_seen: bool
    needs = Need.OCTETS

    @property
    def looks_inside(self) -> bool:
        """It has part numbers, but for BINARY[]."""
        return bool(self.path)

    @property
    def is_made(self) -> bool:
        """It is decoded."""
        return True

    def check(self, message: Message) -> None:
        """Whether the encoding is known."""
        part = find_part(message.tree, self.path) if self.path else None
        if part is not None and not (part.is_multipart or part.is_message):
            _known(decode_transfer(b"", part.encoding))

    def write(self, message: Message, pieces: list[bytes]) -> None:
        """The decoded part: a literal8 when it holds a NUL, else a literal (RFC 3516 §4.2)."""
        octets = decoded(message, self.path)
        if octets is None:
            pieces.append(self.label + b" NIL")
            return
        if self.partial is not None:
            octets = octets[self.partial[0] : self.partial[0] + self.partial[1]]
        pieces.append((b"%b ~{%d}\r\n" if 0 in octets else b"%b {%d}\r\n") % (self.label, len(octets)))
        pieces.append(octets)


@dataclass(frozen=True, slots=True)
class BinarySizeItem:
    """BINARY.SIZE[path]: exact, as the part is decoded for it."""

    path: tuple[int, ...]
    template: bytes
    marks_seen = False
    needs = Need.OCTETS

    def columns(self, batch: Batch) -> tuple[list[int]]:
        """The number of octets, 0 when there is no such part."""
        return ([len(decoded(message, self.path) or b"") for message in batch.messages],)


def _path(cursor: Cursor) -> tuple[tuple[int, ...], bytes]:
    cursor.expect(b"[", "a section in brackets")
    path = read_path(cursor)
    cursor.expect(b"]", "the end of the section")
    return path, b"[%b]" % b".".join(b"%d" % number for number in path)


def _binary(cursor: Cursor, *, marks_seen: bool) -> Item:
    path, label = _path(cursor)
    partial = read_partial(cursor)
    if partial is not None:
        label += b"<%d>" % partial[0]
    return BinaryItem(path, partial, b"BINARY" + label, marks_seen)


@ITEM("BINARY")
def binary(cursor: Cursor) -> Item:
    """BINARY[section-binary]<partial>."""
    return _binary(cursor, marks_seen=True)


@ITEM("BINARY.PEEK")
def binary_peek(cursor: Cursor) -> Item:
    """BINARY.PEEK[section-binary]<partial>."""
    return _binary(cursor, marks_seen=False)


@ITEM("BINARY.SIZE")
def binary_size(cursor: Cursor) -> Item:
    """BINARY.SIZE[section-binary]."""
    path, label = _path(cursor)
    return BinarySizeItem(path, b"BINARY.SIZE" + label + b" %d")
