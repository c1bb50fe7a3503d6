"""Transcripts: each connection's dialogue in a file of its own, `C:` what the client said, `S:` what we answered.

Security: secrets are replaced by *** and bodies by their size. When in doubt a line is hidden: a client's line that is no
command of any protocol may be a password or the response of a SASL exchange; so may be whatever it says between AUTH and
our verdict, and a name that is no address.
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

_LOGIN = re.compile(rb"\s*(?:\S+\s+){0,2}?(?:LOGIN|AUTHENTICATE|AUTH|PASS|APOP)(?=\s|$)", re.IGNORECASE)
_MECHANISM = re.compile(
    rb"\s*(?:\S+\s+)?(?:AUTHENTICATE|AUTH)\s+(?:PLAIN|LOGIN|SCRAM-[A-Z0-9-]{1,20}|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI"
    rb"|XOAUTH2|OAUTHBEARER|EXTERNAL|ANONYMOUS)(?=\s|$)",
    re.IGNORECASE,
)
_NAME = re.compile(rb"\s*USER\s+(?![^@\s]+@[^@\s]+\s*$)", re.IGNORECASE)
_EXCHANGE = re.compile(rb"AUTH(?:ENTICATE)?$", re.IGNORECASE)
_LITERAL = re.compile(rb"[{](\d{1,19})\+?[}]$")
_BDAT = re.compile(rb"BDAT\s+(\d{1,19})", re.IGNORECASE)
_COMMANDS = frozenset(
    b"APPEND BDAT CAPA CAPABILITY CHECK CLOSE COMPRESS COPY CREATE DATA DELE DELETE DELETEACL DONE EHLO ENABLE ESEARCH ETRN "
    b"EXAMINE EXPN EXPUNGE FETCH GETACL GETMETADATA GETQUOTA GETQUOTAROOT HELO HELP ID IDLE LANG LAST LHLO LIST LISTRIGHTS "
    b"LOGOUT LSUB MAIL MOVE MYRIGHTS NAMESPACE NOOP NOTIFY QUIT RCPT RENAME REPLACE RETR RSET SEARCH SELECT SETACL "
    b"SETMETADATA SETQUOTA SORT STARTTLS STAT STATUS STLS STORE SUBSCRIBE THREAD TOP TURN UIDL UNAUTHENTICATE UNSELECT "
    b"UNSUBSCRIBE USER UTF8 VRFY XCLIENT XFORWARD XLIST".split()
)
"""What begins a line that is shown: commands of all three protocols, ours and others', that carry no secret."""


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
        self.in_exchange = False
        self._hidden_to_end = False
        self._continued = False  # the line goes on behind a literal

    def line(self, line: bytes) -> str:
        text = self._visible(line)
        if self.protocol == "imap" and (literal := _LITERAL.search(line)):
            self._hidden_to_end = self._hidden_to_end or text.endswith("***")
            self._continued = True
            self.body(int(literal[1]))
            return f"{text} (literal of {literal[1].decode()} octets)"
        self._hidden_to_end = self._continued = False
        if self.protocol in ("smtp", "submission") and (chunk := _BDAT.match(line)):
            self.body(int(chunk[1]))
            return f"{text} ({chunk[1].decode()} octets)"
        return text

    def _visible(self, line: bytes) -> str:
        if self._hidden_to_end:
            return "***"
        if self._continued:
            return _text(line)
        words = line.upper().split(None, 3)
        if not self.in_exchange and (login := _LOGIN.match(line)):
            shown = _MECHANISM.match(line) or login
            rest = line[shown.end() :].strip()
            if self.protocol == "pop3":
                self.verbs.append(b"AUTH")
            self.in_exchange = _EXCHANGE.search(login[0]) is not None
            return _text(shown[0]) + (" ***" if rest else "")
        if self.protocol == "imap":
            verb = words[2:3] if words[1:2] == [b"UID"] else words[1:2]
            known = words == [b"DONE"] or not _COMMANDS.isdisjoint(verb)
        else:
            known = not _COMMANDS.isdisjoint(words[:1])
            if self.protocol == "pop3" and words and (known or not self.in_exchange):
                self.verbs.append(words[0] + (b" 1" if len(words) > 1 else b""))
        if self.in_exchange or not known:
            return "***" if words else ""
        return "USER ***" if _NAME.match(line) else _text(line)


class _ServerSide(_Lines):
    """What we say; it knows from the client's side which answers are bodies."""

    def __init__(self, client: _ClientSide, protocol: str) -> None:
        super().__init__()
        self._client = client
        self._protocol = protocol

    def line(self, line: bytes) -> str:
        more = b"334" if self._protocol in ("smtp", "submission") else b"+ "
        if not line.startswith((more, b"* OK", b"* CAPABILITY")):
            self._client.in_exchange = False
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
