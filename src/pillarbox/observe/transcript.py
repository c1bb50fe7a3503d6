"""Transcripts: each connection's dialogue in a file of its own, `C:` what the client said, `S:` what we answered.

Security: secrets are replaced by *** and bodies by their size. When in doubt a line is hidden: a client's line of one
word that is no command may be a password or the response of a SASL exchange.
"""

import re
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pillarbox.wire.engine import Link

LONGEST_LINE = 2000
"""Octets of one line that are written; the rest is counted."""

_LOGIN = re.compile(rb"\s*(?:\S+\s+)?(?:LOGIN|AUTHENTICATE|AUTH|PASS|APOP)(?=\s|$)", re.IGNORECASE)
_MECHANISM = re.compile(rb"\s*(?:\S+\s+)?(?:AUTHENTICATE|AUTH)\s+[A-Za-z0-9_-]+", re.IGNORECASE)
_LITERAL = re.compile(rb"[{](\d{1,19})\+?[}]$")
_BDAT = re.compile(rb"BDAT\s+(\d{1,19})", re.IGNORECASE)
_WORDS = frozenset(
    b"QUIT NOOP RSET DATA HELP STARTTLS EHLO HELO VRFY EXPN TURN CAPA STAT LIST UIDL STLS UTF8 LANG DONE".split()
)
"""Commands that are complete as one word."""


class TranscriptDirectory:
    """Makes a file for each connection: date, time, listener and connection id are its name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def tap(self, link: Link, service: str) -> "Transcript":
        """A transcript for this connection."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{service}-{link.id}.txt"
        file = (self._directory / name).open("w", encoding="utf-8", errors="backslashreplace")
        file.write(f"# {service}, connection {link.id}, from {link.peer} to {link.local} port {link.local_port}\n")
        return Transcript(file, service)


class Transcript:
    """One connection's. `service` is the listener's name and tells what is spoken."""

    def __init__(self, file: IO[str], service: str) -> None:
        self._file = file
        protocol = service.rstrip("s")
        self._client = _ClientSide(protocol)
        self._server = _ServerSide(self._client, protocol)

    def received(self, octets: bytes) -> None:
        """What the client said."""
        for line in self._client.feed(octets):
            self._file.write(f"C: {line}\n")

    def sent(self, chunks: Sequence[bytes]) -> None:
        """What we answered."""
        for chunk in chunks:
            for line in self._server.feed(chunk):
                self._file.write(f"S: {line}\n")
        self._file.flush()

    def closed(self) -> None:
        """The end."""
        self._file.write("# closed\n")
        self._file.close()


class _Lines:
    """Cuts lines, and skips what is a body: `skip` octets, or up to a line with a single dot."""

    def __init__(self) -> None:
        self._partial = b""
        self._cut = 0
        self._skip = 0
        self._skipped = 0
        self._to_dot = False

    def feed(self, octets: bytes) -> list[str]:
        """The lines that are complete now, as text for the file."""
        found: list[str] = []
        position = 0
        while position < len(octets):
            if self._skip:
                taken = min(self._skip, len(octets) - position)
                self._skip -= taken
                position += taken
                continue
            end = octets.find(b"\n", position)
            if end < 0:
                self._keep(octets[position:])
                break
            self._keep(octets[position:end])
            position = end + 1
            line, cut, self._partial, self._cut = self._partial.removesuffix(b"\r"), self._cut, b"", 0
            if self._to_dot:
                if line == b".":
                    self._to_dot = False
                    found.append(f"({self._skipped} octets)")
                    found.append(".")
                else:
                    self._skipped += len(line) + cut + 2
                continue
            found.append(self.line(line) + (f" (and {cut} octets)" if cut else ""))
        return found

    def body_to_dot(self) -> None:
        """What follows is a message that ends with a dot."""
        self._to_dot, self._skipped = True, 0

    def body(self, octets: int) -> None:
        """So many octets follow that are no lines."""
        self._skip = octets

    def line(self, line: bytes) -> str:
        """The text for one line."""
        raise NotImplementedError

    def _keep(self, octets: bytes) -> None:
        room = max(0, LONGEST_LINE - len(self._partial))
        self._partial += octets[:room]
        self._cut += max(0, len(octets) - room)


class _ClientSide(_Lines):
    """What the client says. `verbs` are the POP3 commands that have not been answered yet."""

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self.protocol = protocol
        self.verbs: deque[bytes] = deque(maxlen=10_000)
        self.hidden_to_end = False

    def line(self, line: bytes) -> str:
        text = self._visible(line)
        if self.protocol == "imap" and (literal := _LITERAL.search(line)):
            self.hidden_to_end = self.hidden_to_end or _LOGIN.match(line) is not None
            self.body(int(literal[1]))
            return f"{text} (literal of {literal[1].decode()} octets)"
        self.hidden_to_end = False
        if self.protocol in ("smtp", "submission") and (chunk := _BDAT.match(line)):
            self.body(int(chunk[1]))
            return f"{text} ({chunk[1].decode()} octets)"
        return text

    def _visible(self, line: bytes) -> str:
        if self.hidden_to_end:
            return "***"
        if login := _LOGIN.match(line):
            shown = _MECHANISM.match(line) or login
            rest = line[shown.end() :].strip()
            if self.protocol == "pop3":
                self.verbs.append(b"AUTH")
            return _text(shown[0]) + (" ***" if rest else "")
        words = line.split(None, 1)
        if len(words) == 1 and line.strip().upper() not in _WORDS:
            return "***"
        if self.protocol == "pop3" and words:
            self.verbs.append(words[0].upper() + (b" 1" if len(words) > 1 else b""))
        return _text(line)


class _ServerSide(_Lines):
    """What we say; it knows from the client's side which answers are bodies."""

    def __init__(self, client: _ClientSide, protocol: str) -> None:
        super().__init__()
        self._client = client
        self._protocol = protocol

    def line(self, line: bytes) -> str:
        if self._protocol == "imap":
            if literal := _LITERAL.search(line):
                self.body(int(literal[1]))
                return f"{_text(line)} ({literal[1].decode()} octets)"
            if line.startswith(b"+ ") and " " not in (challenge := _text(line[2:])) and len(challenge) > 1:
                return "+ ***"
        elif self._protocol == "pop3":
            if line.startswith((b"+OK", b"-ERR")) and self._client.verbs:
                verb = self._client.verbs.popleft()
                if line.startswith(b"+OK") and verb in (b"RETR 1", b"TOP 1"):
                    self.body_to_dot()
            elif line.startswith(b"+ ") and len(line) > 2:
                return "+ ***"
        elif line.startswith(b"334 ") and len(line) > 4:
            return "334 ***"
        elif line.startswith(b"354"):
            self._client.body_to_dot()
        return _text(line)


def _text(octets: bytes) -> str:
    text = octets.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
