"""Reads a server's replies off a stream of octets (RFC 5321 §4.2, RFC 2034).

Security: any server on the internet feeds this. Lines and replies are bounded; control characters never get into logs
or bounces. Raises only BadReply.
"""

import re

from pillarbox.mail.status import Reply
from pillarbox.wire.lines import LineBuffer, LineTooLong

MAX_LINE = 4096
"""Octets of a reply line: RFC 5321 §4.5.3.1.5 says 512, some servers send more."""

MAX_LINES = 100
"""Lines of one reply: an EHLO response has about twenty."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class BadReply(Exception):
    """What came is no SMTP reply; the text is fit for people."""


class ReplyReader:
    """Octets in, replies out."""

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = LineBuffer(bare_lf=True)  # some servers are careless; nothing depends on it here
        self._lines: list[str] = []

    def feed(self, octets: bytes) -> None:
        """Add what was received."""
        self._buffer.feed(octets)

    def next(self) -> Reply | None:
        """The next complete reply, or None. Raises BadReply."""
        while True:
            try:
                line = self._buffer.take_line(MAX_LINE)
            except LineTooLong:
                raise BadReply("the server sent a reply line without end") from None
            if line is None:
                return None
            found = _LINE.fullmatch(line)
            if found is None:
                raise BadReply("the server sent something that is not an SMTP reply")
            self._lines.append(_CONTROL.sub(" ", (found[3] or b"").decode("utf-8", "replace")))
            if found[2] != b"-":
                return self._reply(int(found[1]))
            if len(self._lines) >= MAX_LINES:
                raise BadReply("the server sent a reply without end")

    def clear(self) -> None:
        """Forget everything: what was received before TLS must not count after it (RFC 3207 §6)."""
        self._buffer.clear()
        self._lines = []

    def _reply(self, code: int) -> Reply:
        lines, self._lines = self._lines, []
        found = _ENHANCED.match(lines[0])
        if found is None or found[1][0] != str(code)[0]:
            return Reply(code, "", "\n".join(lines))
        prefix = found[1] + " "
        return Reply(code, found[1], "\n".join(line.removeprefix(prefix) for line in lines).removeprefix(found[1]))
