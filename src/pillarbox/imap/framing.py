"""Framer: cuts complete commands, literals included, off a stream of octets (RFC 9051 §2.2.1, §4.3; RFC 7888).

A literal is announced first: the engine decides whether it is collected as part of the command, diverted to a spool
(a message for APPEND), or refused; only then the client is told to go ahead. In the command's octets a collected literal
stands as it came, "{5}\\r\\nhello"; of a diverted one only its "{5}\\r\\n".

Security: strangers feed this. A command's size is bounded while it comes in. Octets of a literal are never read as a
command: what cannot be skipped safely ends the connection. NUL ends it too.
"""

import re

import msgspec

from pillarbox.imap.errors import Disconnect
from pillarbox.imap.policy import CommandLimits
from pillarbox.store.spool import Spool
from pillarbox.wire.lines import LineBuffer, LineTooLong

_LITERAL = re.compile(rb"~?\{([0-9]{1,19})(\+?)\}\Z")
_HTTP = re.compile(rb"(?:GET|POST|HEAD|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) ")


class Literal(msgspec.Struct, frozen=True):
    """The client announces `size` octets. `prefix`: the command so far, the announcement included."""

    prefix: bytes
    size: int
    synchronising: bool


class Framer:
    """Octets of one connection on their way to being commands. Call `next` until it gives None."""

    __slots__ = ("_buffer", "_fresh", "_parts", "_remaining", "_sink", "_size", "literals")

    def __init__(self) -> None:
        self._buffer = LineBuffer()
        self._fresh = True
        self._parts: list[bytes] = []
        self._size = 0
        self._remaining = 0
        self._sink: Spool | list[bytes] | None = None
        self.literals = 0

    def __len__(self) -> int:
        """Octets that are not yet part of a command."""
        return len(self._buffer.octets)

    @property
    def mid_command(self) -> bytes:
        """The start of a command that is not complete yet."""
        return self._parts[0] if self._parts else b""

    def feed(self, octets: bytes) -> None:
        """Add what was received."""
        self._buffer.feed(octets)

    def next(self, limits: CommandLimits) -> bytes | Literal | None:
        """A whole command without its line end, or a literal to decide on, or None when octets are missing.

        Raises Disconnect.
        """
        if self._remaining and not self._move():
            return None
        while (line := self.take_line(limits.command - self._size)) is not None:
            if not line and not self._parts:
                continue  # Apple Mail sends empty lines between commands
            if self._fresh:
                self._fresh = False
                if _HTTP.match(line):
                    raise Disconnect("This is no web server")
            if line.endswith(b"}") and (found := _LITERAL.search(line, max(0, len(line) - 24))):
                return self._announced(line, int(found[1]), synchronising=not found[2])
            line = line.rstrip(b" ")  # some clients have a space behind their last argument
            if not self._parts:
                return line
            self._parts.append(line)
            command = b"".join(self._parts)
            self.drop()
            return command
        return None

    def take_line(self, limit: int) -> bytes | None:
        """The next line without its line end, whatever it is (a SASL response, DONE). Raises Disconnect."""
        # A long line cannot be skipped: it may end by announcing a literal, whose octets would then be read as commands.
        try:
            line = self._buffer.take_line(limit)
        except LineTooLong:
            raise Disconnect("The line is too long") from None
        if line is None:
            if self._buffer.skipping:
                raise Disconnect("The line is too long")
            return None
        if 0 in line:
            raise Disconnect("NUL is not allowed in commands")
        return line

    def _announced(self, line: bytes, size: int, *, synchronising: bool) -> Literal:
        self._parts.append(line + b"\r\n")
        self._size += len(line) + 2
        self.literals += 1
        prefix = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._remaining = size
        return Literal(prefix, size, synchronising)

    def peek(self, count: int) -> bytes:
        """At most so many octets of what was received behind the command that runs."""
        return bytes(self._buffer.octets[:count])

    def pass_over(self, count: int) -> None:
        """So many of them are whole commands, which the one that runs has answered too."""
        self._buffer.take(count)

    def collect(self) -> None:
        """The announced literal becomes part of the command."""
        self._size += self._remaining
        self._sink = self._parts

    def divert(self, spool: Spool) -> None:
        """The announced literal's octets go to the spool as they come."""
        self._sink = spool

    def skip(self) -> None:
        """The announced literal's octets are thrown away."""
        self._sink = None

    def drop(self) -> None:
        """Forget the command so far; the next line is a new one (after a refused synchronising literal)."""
        self._parts = []
        self._size = self._remaining = self.literals = 0
        self._sink = None

    def reset(self) -> None:
        """Forget everything (TLS starts)."""
        self.drop()
        self._buffer.clear()
        self._fresh = True

    def _move(self) -> bool:
        """Move octets of the literal to where they belong; whether it is complete. A collected one moves in one piece."""
        sink = self._sink
        if isinstance(sink, list):
            if len(self._buffer) < self._remaining:
                return False
            octets = self._buffer.take(self._remaining)
            if 0 in octets:
                raise Disconnect("NUL is not allowed in commands")
            sink.append(octets)
            self._remaining = 0
            return True
        octets = self._buffer.take(self._remaining)
        self._remaining -= len(octets)
        if sink is not None and octets:
            sink.write(octets)
        return not self._remaining
