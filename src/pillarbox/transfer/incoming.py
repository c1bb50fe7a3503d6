"""Incoming: a message while it is received; the header apart, so that fields can be added or removed as octets.

Security: strangers wrote it. The header is held in memory, its size is bounded by the SMTP engine's limit.
"""

from pillarbox.store.spool import Spool


class Incoming:
    """Conforms to `smtp.service.Body`.

    After `finish`, `header` has the fields with their line ends and without the empty line, and may be changed until
    `seal` puts it before the rest, which went to the spool as it came. `own_header`: the one of the author's own copy,
    empty when there is no such copy. `is_seven_bit`: all octets are below 128.
    """

    __slots__ = ("_pending", "header", "is_seven_bit", "own_header", "size", "spool")

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.size = 0
        self.header = b""
        self.own_header = b""
        self.is_seven_bit = True
        self._pending: bytearray | None = bytearray()

    def write(self, octets: bytes) -> None:
        """See Body."""
        self.size += len(octets)
        self.is_seven_bit = self.is_seven_bit and octets.isascii()
        pending = self._pending
        if pending is None:
            self.spool.write(octets)
            return
        searched = max(0, len(pending) - 3)
        whole: bytes | bytearray = octets  # nearly always the first octets hold the whole header
        if pending:
            pending += octets
            whole = pending
        end = 0 if whole.startswith(b"\r\n") else whole.find(b"\r\n\r\n", searched) + 2
        if end == 1:  # not found
            self._pending = pending or bytearray(octets)
            return
        self.header = bytes(whole[:end])
        self._pending = None
        self.spool.write(bytes(whole[end:]))

    def finish(self) -> None:
        """There is no more. A message without an empty line is all header."""
        if self._pending is not None:
            self.header, self._pending = bytes(self._pending), None

    def seal(self, trace: bytes) -> Spool:
        """The whole message, `trace` first."""
        self.spool.prepend(trace + self.header)
        return self.spool

    def own_version(self, trace: bytes) -> Spool | None:
        """After `seal`: the whole message for its author, None when it is the same for all."""
        if not self.own_header or self.own_header == self.header:
            return None
        return self.spool.with_other_head(trace + self.own_header)

    def discard(self) -> None:
        """See Body."""
        self.spool.discard()
