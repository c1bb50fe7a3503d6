"""Replies of POP3 and their encoding (RFC 1939 §3, RFC 2449 §8).

A line that starts with a dot gets a second one. Here a line starts after any LF, not only after CRLF: clients that read
by LF (most do) would otherwise end a message at a lone LF and a dot, and take what follows for our next reply. A client
that reads by CRLF only sees one dot too many, in a message that breaks RFC 5322 anyway.
"""

import re
from collections.abc import Iterable
from itertools import islice

from pillarbox.wire.outbox import Outbox

END = b".\r\n"
BATCH = 5000
"""Lines of a listing that are made at a time: a millisecond or two."""

DOT_IS_RARE = 512
"""Octets for each dot, from which on looking for the dots first is worth it."""

_DOT_LINE = re.compile(rb"\n\.")  # a third of what `in` costs for these octets


def ok(text: str) -> bytes:
    """A positive reply of one line."""
    return f"+OK {text}\r\n".encode()


def err(text: str, code: str = "") -> bytes:
    """A negative reply; `code` without its brackets."""
    return f"-ERR [{code}] {text}\r\n".encode() if code else f"-ERR {text}\r\n".encode()


def listing(first: str, lines: Iterable[str]) -> bytes:
    """A reply of several lines, none of which starts with a dot."""
    return "\r\n".join([f"+OK {first}", *lines, ".\r\n"]).encode()


async def send_listing(out: Outbox, first: str, lines: Iterable[str]) -> bytes:
    """Write a reply of any number of lines, some thousand at a time, so that a large maildrop holds up nobody else; returns
    its end. No line starts with a dot."""
    out.write(ok(first))
    rest = iter(lines)
    while batch := "".join(islice(rest, BATCH)):
        out.write(batch.encode())
        await out.drain()
    return END


class MessageWriter:
    """Writes a message's octets as the body of a reply, piece by piece, without copying those that need no change.

    What the message lacks is added on the wire: the line end of its last line, and the empty line after a header that is
    all there is (Outlook waits for it). A NUL, which no message may hold (RFC 5322 §3.5), is sent as 0x80, as IMAP sends it:
    Outlook hangs on one, and any stranger could write it.
    """

    __slots__ = ("_blank", "_out", "_tail")

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._tail = b"\r\n"  # the last octets before the next piece; a message begins like a line
        self._blank = False  # the empty line that ends the header was seen

    def write(self, octets: bytes) -> None:
        """The next piece."""
        if not octets:
            return
        if not self._blank:
            self._blank = b"\n\r\n" in octets or b"\n\n" in octets or _blank_joint(self._tail + octets[:2])
        if octets[0] == 0x2E and self._tail[-1] == 0x0A:
            self._out.write(b".")
        self._tail = octets[-2:] if len(octets) >= 2 else self._tail[-1:] + octets
        if 0 in octets:
            octets = octets.replace(b"\0", b"\x80")
        self._out.write(octets.replace(b"\n.", b"\n..") if has_dot_line(octets) else octets)

    def end(self) -> bytes:
        """What ends the reply."""
        line_end = b"" if self._tail == b"\r\n" else b"\r\n"
        return line_end + (END if self._blank else b"\r\n" + END)


def has_dot_line(octets: bytes) -> bool:
    """Whether a line behind the first one starts with a dot. Going from dot to dot takes a tenth of looking at every octet
    where dots are rare, as in attachments; where they are not, that is soon given up."""
    dot = octets.find(b".", 1)
    for _ in range(len(octets) // DOT_IS_RARE):
        if dot < 0:
            return False
        if octets[dot - 1] == 0x0A:
            return True
        dot = octets.find(b".", dot + 1)
    return dot >= 0 and _DOT_LINE.search(octets, dot - 1) is not None


def _blank_joint(octets: bytes) -> bool:
    """Whether an empty line lies where two pieces meet."""
    return b"\n\r\n" in octets or b"\n\n" in octets
