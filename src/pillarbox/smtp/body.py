"""Message octets on their way in: dot-unstuffing (RFC 5321 §4.5.2), BDAT chunks (RFC 3030), limits and line ends.

Octets are handled by the chunk, as they came; nothing is looked at line by line.

Security: strangers feed this. Only CRLF.CRLF ends DATA. A lone CR or LF makes the message refused (or normalised, for
authenticated submission): taking it for a line end anywhere is what SMTP smuggling lives on. Memory is bounded by the
chunk: what is over a limit is dropped as it comes.
"""

import re
from typing import Protocol

from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Body
from pillarbox.store.faults import kind_of
from pillarbox.wire.engine import Emit

_END = b"\r\n.\r\n"
_DOT = _END[:3]  # a dot that starts a line: stuffed, or the end
_FIND_DOT = re.compile(re.escape(_DOT))  # twice as fast as bytes.find
_LONE_CR = re.compile(rb"\r(?!\n)")
_NOT_LINE_ENDS = bytes(octet for octet in range(256) if octet not in b"\r\n")
_LOOKS_LIKE_END = re.compile(rb"[\r\n]\.[\r\n]")
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")

TOO_LARGE = Reply(552, "5.3.4", "The message is larger than this server takes")
_HEADER_TOO_LARGE = Reply(554, "5.3.4", "The message's header is larger than this server takes")
_LONE = Reply(550, "5.6.11", "The message has a CR or LF that is not part of a CRLF; send lines ended by CRLF")
_NO_SPACE = Reply(452, "4.3.1", "The message cannot be kept now; try again later")


class Intake:
    """Takes a message's octets for a `Body`, watching limits and line ends.

    After a fault the body is discarded and further octets are dropped. `fatal`: the connection cannot go on after it.
    `emit` hears why octets could not be kept.
    """

    __slots__ = (
        "_cr_pending", "_emit", "_header_limit", "_header_tail", "_max_size", "_normalise", "body", "fatal", "fault",
    )  # fmt: skip

    def __init__(self, body: Body, *, max_size: int, max_header: int, normalise: bool, emit: Emit) -> None:
        self._emit = emit
        self.body: Body | None = body
        self.fault: Reply | None = None
        self.fatal = False
        self._max_size = max_size
        self._header_limit = max_header
        self._header_tail: bytes | None = b"\r\n"  # an empty line right at the start ends the header too
        self._normalise = normalise
        self._cr_pending = False

    def write(self, octets: bytes) -> None:
        """Take the next octets; a CRLF may be cut in two."""
        if self.body is None:
            return
        if self._cr_pending:
            octets = b"\r" + octets
            self._cr_pending = False
        if octets.endswith(b"\r"):
            octets = octets[:-1]
            self._cr_pending = True
        self._write_whole(octets)

    def finish(self) -> None:
        """There is no more: a CR that waited for its LF is a lone one."""
        if self._cr_pending:
            self._cr_pending = False
            self._write_whole(b"\r")

    def discard(self) -> None:
        """The transaction was aborted."""
        body, self.body = self.body, None
        if body is not None:
            body.discard()

    def _write_whole(self, octets: bytes) -> None:
        body = self.body
        if body is None:
            return
        # LF follows each CR at once, and CR and LF take turns: twice as fast as counting CRLF, CR and LF.
        ends = octets.translate(None, _NOT_LINE_ENDS)
        if ends != b"\r\n" * (len(ends) // 2) or _LONE_CR.search(octets):
            if not self._normalise:
                self._fail(_LONE, fatal=True)
                return
            octets = _ANY_LINE_END.sub(b"\r\n", octets)
        if body.size + len(octets) > self._max_size:
            self._fail(TOO_LARGE)
            return
        if self._header_tail is not None and not self._header_fits(octets):
            self._fail(_HEADER_TOO_LARGE)
            return
        try:
            body.write(octets)
        except OSError as error:
            self._emit("spool_failed", fault=kind_of(error), error=str(error))
            self._fail(_NO_SPACE)

    def _header_fits(self, octets: bytes) -> bool:
        tail = self._header_tail or b""
        start = (tail + octets[:3]).find(b"\r\n\r\n") - len(tail)  # cut in two; below that when it is not
        if start < -len(tail):
            start = octets.find(b"\r\n\r\n")
            if start < 0:
                self._header_limit -= len(octets)
                self._header_tail = (tail + octets[-3:])[-3:]
                return self._header_limit >= 0
        self._header_limit -= max(0, start + 4)
        self._header_tail = None
        return self._header_limit >= 0

    def _fail(self, fault: Reply, *, fatal: bool = False) -> None:
        self.fault, self.fatal = fault, fatal
        self.discard()


class BodyReader(Protocol):
    """Cuts a message's octets out of the stream."""

    def feed(self, octets: bytes) -> bytes | None:
        """Take what came; returns what follows the end, or None while the end is not there yet."""


class DotReader:
    """Reads DATA up to CRLF.CRLF and removes the stuffed dots.

    After a fatal fault anything that looks like an end is one: a client that takes LF for a line end waits there for the
    reply, and as the connection closes nothing can be smuggled behind it.
    """

    __slots__ = ("_carry", "_intake", "_may_be_over", "_seen", "_virtual")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._carry = b"\r\n"  # the CRLF of the DATA line: a dot right after it starts a line
        self._seen = b"\r\n"
        self._may_be_over = False  # something looked like an end to a client that is lax with line ends
        self._virtual = 2  # octets of the carry that do not belong to the message

    def feed(self, octets: bytes) -> bytes | None:
        """See BodyReader. At most four octets wait for what follows them."""
        received, octets = octets, self._carry + octets
        found = _FIND_DOT.search(octets)  # most messages have none before their end: one search says both
        end = -1 if found is None else octets.find(_END, found.start())
        if found is not None and end >= 0:
            self._emit(octets, end + 2, stuffed=found.start() < end)
            return octets[end + 5 :]
        kept = len(octets) - _held(octets)
        self._carry = octets[kept:]
        self._emit(octets, kept, stuffed=found is not None)
        window = self._seen + received
        if (b"\n." in window or b"\r." in window) and _LOOKS_LIKE_END.search(window):
            self._may_be_over = True
        if self._may_be_over and self._intake.fatal:
            return b""
        self._seen = window[-2:]
        return None

    def _emit(self, octets: bytes, stop: int, *, stuffed: bool) -> None:
        if not stop:
            return
        if stuffed:
            octets = octets[:stop].replace(_DOT, b"\r\n")
            stop = len(octets)
        octets = octets[self._virtual : stop]
        self._virtual = 0
        if octets:
            self._intake.write(octets)


def _held(octets: bytes) -> int:
    """How many octets at the end may be the start of CRLF.CRLF."""
    for length in range(4, 0, -1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class ChunkReader:
    """Reads the octets of one BDAT chunk; without an intake they are dropped."""

    __slots__ = ("_intake", "_left")

    def __init__(self, intake: Intake | None, size: int) -> None:
        self._intake = intake
        self._left = size

    def feed(self, octets: bytes) -> bytes | None:
        """See BodyReader."""
        part = octets[: self._left]
        self._left -= len(part)
        if part and self._intake is not None:
            self._intake.write(part)
        return octets[len(part) :] if self._left == 0 else None
