"""LineBuffer: cuts lines off a stream of octets, with a limit.

Security: strangers feed this. A line longer than the limit is reported once and then skipped to its end, so that the
stream stays in step and memory stays bounded.
"""


class LineTooLong(Exception):
    """A line above the limit; it is discarded up to its end, and what follows is intact."""


class LineBuffer:
    """Octets of one connection that are not yet processed. Lines end with CRLF; `bare_lf` also allows a lone LF."""

    __slots__ = ("_scanned", "_skipping", "bare_lf", "octets", "skipped")

    def __init__(self, *, bare_lf: bool = False) -> None:
        self.octets = bytearray()
        self.bare_lf = bare_lf
        self._scanned = 0
        self._skipping = False
        self.skipped = 0  # octets of the long line that is thrown away; an engine may give up before its end

    def __len__(self) -> int:
        return len(self.octets)

    @property
    def skipping(self) -> bool:
        """Whether the line that is coming in is too long already: an engine may give up before its end."""
        return self._skipping

    def feed(self, octets: bytes) -> None:
        """Add what was received."""
        self.octets += octets

    def take_line(self, limit: int) -> bytes | None:
        """The next line without its line end, or None when it is not complete yet.

        `limit` counts octets including the line end. Raises LineTooLong, at the end of the long line.
        """
        buffer = self.octets
        end = buffer.find(b"\n" if self.bare_lf else b"\r\n", self._scanned)
        if end < 0:
            if len(buffer) > limit:
                self.skipped = self.skipped + len(buffer) if self._skipping else len(buffer)
                self._skipping = True
                del buffer[: len(buffer) - 1]  # the last octet may be the CR of the line's end
            self._scanned = max(0, len(buffer) - 1)
            return None
        width = 1 if self.bare_lf else 2
        line = bytes(buffer[:end])
        del buffer[: end + width]
        self._scanned = 0
        if self._skipping or len(line) + width > limit:
            self._skipping = False
            raise LineTooLong
        return line.removesuffix(b"\r") if self.bare_lf else line

    def take(self, count: int) -> bytes:
        """At most `count` octets, as they are."""
        if count < len(self.octets):
            octets = bytes(self.octets[:count])
            del self.octets[:count]
        else:
            octets = bytes(self.octets)
            self.octets.clear()
        self._scanned = 0
        return octets

    def clear(self) -> None:
        """Forget everything (before TLS starts)."""
        self.octets.clear()
        self._scanned = 0
        self._skipping = False
