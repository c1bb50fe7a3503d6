"""TOP: the header and the first lines of a message (RFC 1939 §7)."""

import re

from pillarbox.pop3.errors import BadSyntax, Disconnect, Refused
from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import MessageWriter, ok
from pillarbox.pop3.session import Session

_BLANK = re.compile(rb"\n\r?\n")

FIRST_READ = 64 * 1024
"""Octets read at first: more than nearly every header has."""


@command("TOP message lines", state=State.TRANSACTION, rfc="RFC 1939 §7", capability="TOP")
async def top(session: Session, argument: bytes) -> bytes:
    """The header, its empty line, and so many lines of the body."""
    drop, out = session.maildrop, session.out
    number, _, count = argument.strip().partition(b" ")
    count = count.strip()
    if not count.isdigit() or len(count) > 10:
        raise BadSyntax("TOP takes a message number and a number of lines")
    index = drop.index(number)
    size = drop.size(index)
    octets = await drop.read(index, 0, FIRST_READ)
    out.write(ok("The top follows"))
    writer, excerpt = MessageWriter(out), Excerpt(int(count))
    writer.write(excerpt.take(octets))
    at = len(octets)
    while at < size and not excerpt.complete:
        await out.drain()
        try:
            octets = await drop.read(index, at, session.policy.piece)
        except Refused:
            octets = b""
        if not octets:
            raise Disconnect("")  # as for RETR
        writer.write(excerpt.take(octets))
        at += len(octets)
    return writer.end()


class Excerpt:
    """Lets through a message's header, the empty line and then a number of lines, however it is cut into pieces."""

    __slots__ = ("_in_header", "_left", "_tail", "complete")

    def __init__(self, lines: int) -> None:
        self.complete = False
        self._left = lines
        self._in_header = True
        self._tail = b"\n"  # the last octets of the header so far; a message that starts with a line end has none

    def take(self, octets: bytes) -> bytes:
        """The part of the next piece that belongs to the excerpt."""
        if not self._in_header:
            return octets[: self._body(octets, 0)]
        known = self._tail + octets
        blank = _BLANK.search(known)
        if blank is None:
            self._tail = known[-2:]
            return octets
        self._in_header = False
        return octets[: self._body(octets, blank.end() - len(self._tail))]

    def _body(self, octets: bytes, at: int) -> int:
        """Where the excerpt ends in this piece, whose body starts at `at`."""
        lines = octets.count(b"\n", at)
        if lines < self._left:
            self._left -= lines
            return len(octets)
        for _ in range(self._left):
            at = octets.find(b"\n", at) + 1
        self._left = 0
        self.complete = True
        return at
