"""Plan: what one FETCH asks for, worked out once. Clients repeat few commands, for one message after the other: the plans of
the latest ones are kept."""

import re
from dataclasses import dataclass
from functools import lru_cache

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.fetch.item import ITEM, MODIFIER, Item, Literal, Modifier, Need, Value
from pillarbox.imap.fetch.metadata import FLAGS, MODSEQ, UID
from pillarbox.imap.grammar import Cursor

MACROS = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}

MAX_ITEMS = 500
"""Items of one FETCH: a client that asks for the header of each part of a large message needs some dozens."""

KEPT = 256
KEPT_OCTETS = 512
"""Plans that are kept, and the longest command's arguments whose plan is: what all clients in use say is far shorter."""

_NAME = re.compile(rb"[A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """The items of a FETCH, those with short values and those with octets of the message apart. `only_flags`: nothing but
    what `Selected.write_flags` writes. `measures`: a short value needs the whole message. `looks_inside`: the tree of the
    message's parts is needed. `head` makes a response up to its literals, or to its end, of a number and the short values.
    `alike`: its wording, if it takes ranges of messages and changes nothing, so that further commands of this wording may be
    answered together; empty for all others."""

    items: frozenset[Item]
    modifiers: tuple[Modifier, ...]
    values: tuple[Value, ...]
    head: bytes
    literals: tuple[Literal, ...]
    needs: int
    marks_seen: bool
    only_flags: bool
    measures: bool
    looks_inside: bool
    alike: bytes


def read_plan(octets: bytes, *, by_uid: bool, utf8: bool) -> Plan:
    """The plan of a FETCH by what follows its message set and a space. Raises BadSyntax."""
    return (_kept if len(octets) <= KEPT_OCTETS else _read)(octets, by_uid, utf8)


def _read(octets: bytes, by_uid: bool, utf8: bool) -> Plan:  # noqa: FBT001 - a cache's key
    cursor = Cursor(octets, utf8=utf8, by_uid=by_uid)
    wanted = [UID, *_items(cursor)] if by_uid else _items(cursor)
    modifiers: tuple[Modifier, ...] = ()
    if cursor.accept(b" "):
        modifiers = tuple(cursor.parenthesised(lambda: _modifier(cursor)))
    cursor.end()
    for modifier in modifiers:
        wanted += modifier.items
    items = tuple(dict.fromkeys(wanted))
    values = tuple(item for item in items if not isinstance(item, Literal))
    literals = tuple(item for item in items if isinstance(item, Literal))
    needs = Need.NOTHING
    for item in items:
        needs |= item.needs
    if needs & Need.LISTED and needs != Need.LISTED:
        needs = needs & ~Need.LISTED | Need.RECORD
    measures = any(value.needs & Need.OCTETS for value in values)
    marks_seen = any(item.marks_seen for item in items)
    looks_inside = measures or any(literal.looks_inside for literal in literals)
    plain = by_uid and needs == Need.OCTETS and not (modifiers or marks_seen or looks_inside)
    return Plan(
        items=frozenset(items),
        modifiers=modifiers,
        values=values,
        head=head_of(values, literals=bool(literals)),
        literals=literals,
        needs=needs,
        marks_seen=marks_seen,
        only_flags=FLAGS in items and {*items} <= {FLAGS, UID, MODSEQ},
        measures=measures,
        looks_inside=looks_inside,
        alike=octets if plain else b"",
    )


_kept = lru_cache(maxsize=KEPT)(_read)


def head_of(values: tuple[Value, ...], *, literals: bool) -> bytes:
    """A plan's `head` for these values."""
    end = b" " if values and literals else b""
    return b"* %d FETCH (" + b" ".join([value.template for value in values]) + end


def _items(cursor: Cursor) -> list[Item]:
    """A macro, one item, or a list of items."""
    if cursor.peek() == b"(":
        items = cursor.parenthesised(lambda: _item(cursor, _name(cursor)))
        if len(items) > MAX_ITEMS:
            raise BadSyntax(f"Expected at most {MAX_ITEMS} items")
        return items
    name = _name(cursor)
    if name in MACROS:
        return [_item(cursor, each) for each in MACROS[name]]
    return [_item(cursor, name)]


def _name(cursor: Cursor) -> str:
    found = cursor.match(_NAME)
    if found is None:
        raise BadSyntax("Expected the name of a FETCH item")
    return found[0].decode("ascii").upper()


def _item(cursor: Cursor, name: str) -> Item:
    read = ITEM.get(name)
    if read is None:
        raise BadSyntax("There is no such FETCH item")
    return read(cursor)


def _modifier(cursor: Cursor) -> Modifier:
    read = MODIFIER.get(cursor.keyword())
    if read is None:
        raise BadSyntax("There is no such FETCH modifier")
    return read(cursor)
