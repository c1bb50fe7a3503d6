"""BODY[...], BODY.PEEK[...], and their forefathers RFC822, RFC822.HEADER, RFC822.TEXT (RFC 9051 §6.4.5, RFC 3501 §6.4.5)."""

from dataclasses import dataclass

from pillarbox.imap.fetch.item import ITEM, Batch, Item, Literal, Message, Need
from pillarbox.imap.fetch.recorded import BODY
from pillarbox.imap.fetch.section import Section, read_partial
from pillarbox.imap.grammar import Cursor
from pillarbox.mail.kept_fields import KINDS, choose_each


def literal(label: bytes, octets: bytes, pieces: list[bytes]) -> None:
    """Octets of a message as a literal. A NUL, which no literal may hold (RFC 9051 §4.3), is sent as 0x80; clients hang
    on it, and the length must stay."""
    if 0 in octets:
        octets = octets.replace(b"\0", b"\x80")
    pieces.append(b"%b {%d}\r\n" % (label, len(octets)))
    pieces.append(octets)


@dataclass(frozen=True, slots=True)
class SectionItem(Literal):
    """One section, or a part of it: `partial` is offset and length. `label` is what the response begins with."""

    label: bytes
    section: Section
    partial: tuple[int, int] | None
    marks_seen: bool
    needs: int

    def write(self, message: Message, pieces: list[bytes]) -> None:
        """The section as a literal, NIL when there is no such part."""
        located = self.section.locate(message.tree)
        if located is None:
            pieces.append(self.label + b" NIL")
            return
        octets = message.octets
        if self.section.names:
            octets = self.section.chosen(octets[located[0] : located[1]])
            located = 0, len(octets)
        start, stop = self.cut(*located)
        literal(self.label, octets[start:stop], pieces)

    @property
    def looks_inside(self) -> bool:
        """It has part numbers."""
        return True

    @property
    def is_made(self) -> bool:
        """Chosen fields are no range."""
        return bool(self.section.names)

    def place(self, message: Message) -> tuple[int, int] | None:
        """Where the part is."""
        located = None if self.section.names else self.section.locate(message.tree)
        return None if located is None else self.cut(*located)

    def cut(self, start: int, stop: int) -> tuple[int, int]:
        """What the partial leaves of a range."""
        if self.partial is None:
            return start, stop
        start = min(start + self.partial[0], stop)
        return start, min(start + self.partial[1], stop)


class RangeItem(SectionItem):
    """A section that is a range of the message's octets and needs no look into its parts: [], [HEADER], [TEXT]."""

    __slots__ = ()

    def write(self, message: Message, pieces: list[bytes]) -> None:
        """The section as a literal."""
        start, stop = self.place(message)
        literal(self.label, message.octets[start:stop], pieces)

    @property
    def looks_inside(self) -> bool:
        """The header's size is known."""
        return False

    def place(self, message: Message) -> tuple[int, int]:
        """Where it is in the message's octets."""
        text = self.section.text
        start = message.record.summary.header_size if text == "TEXT" else 0
        stop = message.record.summary.header_size if text == "HEADER" else message.size
        return self.cut(start, stop)


class FieldsItem(SectionItem):
    """HEADER.FIELDS and HEADER.FIELDS.NOT of the message itself, from its header alone."""

    __slots__ = ()

    @property
    def looks_inside(self) -> bool:
        """The header's size is known."""
        return False

    def write(self, message: Message, pieces: list[bytes]) -> None:
        """The fields as a literal."""
        octets = self.section.chosen(message.octets[: message.record.summary.header_size])
        start, stop = self.cut(0, len(octets))
        literal(self.label, octets[start:stop], pieces)


@dataclass(frozen=True, slots=True)
class CachedFieldsItem:
    """HEADER.FIELDS of fields that are kept apart: the message is not read. Short enough to be a value."""

    names: frozenset[bytes]
    partial: tuple[int, int] | None
    template: bytes
    marks_seen: bool
    needs = Need.LISTED

    def columns(self, batch: Batch) -> tuple[list[int], list[bytes]]:
        """The literals' lengths, and the fields. A NUL is sent as in `literal`."""
        chosen = choose_each([listed[2] for listed in batch.listed], self.names)
        if self.partial is not None:
            start, length = self.partial
            chosen = [octets[start : start + length] for octets in chosen]
        return [len(octets) for octets in chosen], [octets.replace(b"\0", b"\x80") for octets in chosen]


def section_item(
    section: Section, *, label: bytes | None = None, partial: tuple[int, int] | None = None, marks_seen: bool
) -> Item:
    """The item for a section, of the kind that needs least."""
    if label is None:
        label = b"BODY[%b]" % section.label
        if partial is not None:
            label += b"<%d>" % partial[0]
    kind: type[SectionItem] = RangeItem
    needs = Need.OCTETS | Need.RECORD
    if section.path:
        kind, needs = SectionItem, Need.OCTETS
    elif section.text == "HEADER":
        needs = Need.HEADER | Need.RECORD
    elif section.text == "HEADER.FIELDS" and section.names <= KINDS.keys():
        return CachedFieldsItem(section.names, partial, label.replace(b"%", b"%%") + b" {%d}\r\n%b", marks_seen)
    elif section.names:
        kind, needs = FieldsItem, Need.HEADER | Need.RECORD
    elif not section.text:
        needs = Need.OCTETS
    return kind(label, section, partial, marks_seen, needs)


@ITEM("BODY")
def body(cursor: Cursor) -> Item:
    """BODY, or BODY[section]<partial>."""
    if cursor.peek() != b"[":
        return BODY
    section = Section.parse(cursor)
    return section_item(section, partial=read_partial(cursor), marks_seen=True)


@ITEM("BODY.PEEK")
def body_peek(cursor: Cursor) -> Item:
    """BODY.PEEK[section]<partial>."""
    section = Section.parse(cursor)
    return section_item(section, partial=read_partial(cursor), marks_seen=False)


def _section(text: str) -> Section:
    return Section((), text, frozenset(), text.encode())


@ITEM("RFC822")
def rfc822(_cursor: Cursor) -> Item:
    """RFC822: BODY[] by its old name."""
    return section_item(_section(""), label=b"RFC822", marks_seen=True)


@ITEM("RFC822.HEADER")
def rfc822_header(_cursor: Cursor) -> Item:
    """RFC822.HEADER: BODY.PEEK[HEADER] by its old name."""
    return section_item(_section("HEADER"), label=b"RFC822.HEADER", marks_seen=False)


@ITEM("RFC822.TEXT")
def rfc822_text(_cursor: Cursor) -> Item:
    """RFC822.TEXT: BODY[TEXT] by its old name."""
    return section_item(_section("TEXT"), label=b"RFC822.TEXT", marks_seen=True)
