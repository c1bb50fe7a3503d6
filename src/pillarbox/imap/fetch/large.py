"""A large message in a FETCH response: its octets go out as they come from the store, one literal after the other.

Clients fetch large messages part by part, in pieces: the tree of the last one's parts stays with the session, so that only
the first piece costs a look at the whole message.
"""

from collections.abc import Sequence

from pillarbox.imap.errors import Disconnect
from pillarbox.imap.fetch.item import Item, Literal, Message, Need
from pillarbox.imap.session import Session
from pillarbox.mail.mime import parse
from pillarbox.wire.outbox import Outbox

PIECE = 1024 * 1024
"""Octets of a message that are read at a time."""


class LargeMessage:
    """One message and what is sent of it."""

    __slots__ = ("is_measured", "literals", "message", "octets", "out", "session", "size")

    def __init__(self, session: Session, items: Sequence[Item], message: Message, out: Outbox) -> None:
        self.session = session
        self.literals = [item for item in items if isinstance(item, Literal)]
        self.is_measured = any(not isinstance(item, Literal) and item.needs & Need.OCTETS for item in items)
        self.message = message
        self.out = out
        self.size = message.size
        self.octets: bytes | None = None  # when the whole message had to be read

    async def prepare(self) -> bool:
        """Read what the literals need, and see that none of them fails later; False when the message is gone.

        Raises Refused.
        """
        literals, message, session = self.literals, self.message, self.session
        email_id = message.record.email_id
        looks_inside = self.is_measured or any(literal.looks_inside for literal in literals)
        known = session.tree[1] if looks_inside and session.tree and session.tree[0] == email_id else None
        is_made = self.is_measured or any(literal.is_made for literal in literals)
        if is_made or (looks_inside and known is None):
            self.octets = await self.read(0, self.size)
            if self.octets is None:
                return False
            message.octets = self.octets
            if looks_inside and known is None:
                known = parse(self.octets)
                session.tree = email_id, known
        message.tree = known
        for literal in literals:
            literal.check(message)
        return True

    async def send(self, text: bytes) -> None:
        """Write the response: the text of all short items, then the literals. Raises Disconnect when the message vanishes
        meanwhile."""
        self.out.write(b"* %d FETCH (%b" % (self.message.number, text))
        separator = b" " if text else b""
        for literal in self.literals:
            self.out.write(separator)
            separator = b" "
            place = literal.place(self.message)
            if place is None:
                pieces: list[bytes] = []
                literal.write(self.message, pieces)
                for piece in pieces:
                    self.out.write(piece)
                    await self.out.drain()
            else:
                await self.send_range(literal.label, *place)
        self.out.write(b")\r\n")

    async def send_range(self, label: bytes, start: int, stop: int) -> None:
        """A range of the message's octets as a literal."""
        self.out.write(b"%b {%d}\r\n" % (label, stop - start))
        while start < stop:
            octets = await self.read(start, min(stop - start, PIECE))
            if not octets:
                # The literal's length was announced: there is no way to say this inside of it.
                raise Disconnect("A message was deleted while it was being sent")
            self.out.write(octets.replace(b"\0", b"\x80") if b"\0" in octets else octets)
            start += len(octets)
            await self.out.drain()

    async def read(self, start: int, length: int) -> bytes | None:
        """Octets of the message."""
        if self.octets is not None:
            return self.octets[start : start + length]
        mailbox = self.message.selected.view.mailbox
        return await self.session.mail.octets(self.session.account, mailbox, self.message.uid, start, length)
