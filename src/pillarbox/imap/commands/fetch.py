"""FETCH and UID FETCH (RFC 9051 §6.4.5); items and modifiers are in `imap.fetch`."""

import re
from dataclasses import dataclass
from typing import Self

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.fetch.answer import Answer
from pillarbox.imap.fetch.item import ITEM, MODIFIER, Item, Modifier
from pillarbox.imap.fetch.metadata import MODSEQ, UID
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet
from pillarbox.imap.registry import State, command, load
from pillarbox.imap.response import Completion, no, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox

load("pillarbox.imap.fetch")

MACROS = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}

MAX_ITEMS = 500
"""Items of one FETCH: a client that asks for the header of each part of a large message needs some dozens."""

_NAME = re.compile(rb"[A-Za-z0-9.]+")


@command("FETCH", state=State.SELECTED, uid=True, breaks_numbers=False)
@dataclass(frozen=True, slots=True)
class Fetch:
    """Send what is asked for of messages."""

    messages: MessageSet
    items: tuple[Item, ...]
    modifiers: tuple[Modifier, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        messages = cursor.sp().message_set()
        items = _items(cursor.sp())
        modifiers: tuple[Modifier, ...] = ()
        if cursor.accept(b" "):
            modifiers = tuple(cursor.parenthesised(lambda: _modifier(cursor)))
        wanted = [UID, *items] if messages.by_uid else items
        for modifier in modifiers:
            wanted += modifier.items
        return cls(messages, tuple(dict.fromkeys(wanted)), modifiers)

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.mailbox
        if MODSEQ in self.items:
            session.enable_condstore()
        spans = selected.spans(self.messages)
        for modifier in self.modifiers:
            spans = modifier.narrow(session, spans, out)
        expected = sum(map(len, spans))
        answer = Answer(session, self.items, out)
        await answer.send(spans)
        if answer.answered < expected and not self.messages.by_uid:
            # RFC 2180 §4.1: what is there was sent, and the client learns that the rest is gone.
            if not answer.answered:
                return no("The messages are gone", "EXPUNGEISSUED")
            return ok("Some of the messages are gone", "EXPUNGEISSUED")
        return ok("FETCH completed")


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
