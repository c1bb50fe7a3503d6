"""A large message in a FETCH response: its octets go out as they come from the store, one literal after the other.

Clients fetch large messages part by part, in pieces: the tree of the last one's parts stays with the session, so that only
the first piece costs a look at the whole message. What looks at the whole of it is done beside the event loop.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pillarbox.imap.errors import Disconnect
from pillarbox.imap.fetch.item import Literal, Message
from pillarbox.imap.fetch.plan import Plan
from pillarbox.imap.session import Session
from pillarbox.mail.mime import parse_anyway
from pillarbox.wire.outbox import Outbox

T = TypeVar("T")

PIECE = 1024 * 1024
"""Octets of a message that are read at a time."""

BESIDE = 192 * 1024
"""Above this size of a message, taking it apart would hold up the others for a millisecond or more."""


def _written(literal: Literal, message: Message) -> list[bytes]:
    pieces: list[bytes] = []
    literal.write(message, pieces)
    return pieces


class LargeMessage:
    """One message and what is sent of it."""

    __slots__ = ("mailbox", "message", "octets", "out", "plan", "session", "uid")

    def __init__(self, session: Session, plan: Plan, message: Message, uid: int, out: Outbox) -> None:
        self.session = session
        self.plan = plan
        self.message = message
        self.mailbox = session.mailbox.view.mailbox
        self.uid = uid
        self.out = out
        self.octets: bytes | None = None  # when the whole message had to be read

    async def prepare(self) -> bool:
        """Read what the literals need, and see that none of them fails later; False when the message is gone.

        Raises Refused.
        """
        plan, message, session = self.plan, self.message, self.session
        looks_inside = plan.looks_inside
        known = (
            session.tree[1] if looks_inside and session.tree and session.tree[0] == message.record.email_id else None
        )
        is_made = plan.measures or any(literal.is_made for literal in plan.literals)
        if is_made or (looks_inside and known is None):
            self.octets = await self.read(0, message.size)
            if self.octets is None:
                return False
            message.octets = self.octets
            if looks_inside and known is None:
                known = await self.compute(partial(parse_anyway, self.octets))
                session.tree = message.record.email_id, known
        message.tree = known
        for literal in plan.literals:
            literal.check(message)
        return True

    async def send(self, head: bytes) -> None:
        """Write the response: its beginning with all short values, then the literals. Raises Disconnect when the message
        vanishes meanwhile."""
        self.out.write(head)
        for number, literal in enumerate(self.plan.literals):
            if number:
                self.out.write(b" ")
            place = literal.place(self.message)
            if place is None:
                for piece in await self.compute(partial(_written, literal, self.message)):
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
            self.out.write(octets.replace(b"\0", b"\x80") if 0 in octets else octets)
            start += len(octets)
            await self.out.drain()

    async def compute(self, work: Callable[[], T]) -> T:
        """Look at the whole message, beside the event loop if that takes long."""
        return await self.session.mail.compute(work) if self.message.size > BESIDE else work()

    async def read(self, start: int, length: int) -> bytes | None:
        """Octets of the message."""
        if self.octets is not None:
            return self.octets[start : start + length]
        return await self.session.mail.octets(self.session.account, self.mailbox, self.uid, start, length)
