"""Makes a message's octets fit for DATA: dot-stuffing (RFC 5321 §4.5.2) and line ends, chunk by chunk.

Security: end of DATA must mean the same to us and to the next hop. A lone CR or LF, which stored mail should not have,
is made CRLF here, so that no message can smuggle a second one past a server that is less strict.
"""

import re

_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")


class DotStuffer:
    """Chunks in, chunks out; then `end` for the rest and the final dot."""

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""  # a CR at the end of a chunk: the LF may be in the next one

    def stuff(self, chunk: bytes) -> bytes:
        """What to send for this chunk."""
        if self._held:
            chunk, self._held = self._held + chunk, b""
        if chunk.endswith(b"\r"):
            chunk, self._held = chunk[:-1], b"\r"
        if not chunk:
            return b""
        lines = chunk.count(b"\n")
        if chunk.count(b"\r") != lines or chunk.count(b"\r\n") != lines:
            chunk = _ANY_LINE_END.sub(b"\r\n", chunk)
        stuffed = chunk.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and chunk.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = chunk.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """The end of DATA; a last line without its end gets one."""
        return b".\r\n" if self._at_line_start and not self._held else b"\r\n.\r\n"
