"""Transcripts: whatever a client says around its password, the password is not written down."""

import io

from fuzz.targets.world import pieces
from pillarbox.observe.transcript import Transcript

_SERVICES = ("smtp", "submission", "pop3", "imap")
_PASSWORD = "hunter2-%-sesame"
_LOGINS = {
    "smtp": f"AUTH LOGIN\r\n{_PASSWORD}\r\n",
    "submission": f"AUTH PLAIN {_PASSWORD}\r\n",
    "pop3": f"PASS {_PASSWORD}\r\n",
    "imap": f"a LOGIN x {_PASSWORD}\r\n",
}


def transcript(octets: bytes) -> None:
    """The first octet is the protocol; the reads are the client's and the server's in turn."""
    service = _SERVICES[(octets[0] if octets else 0) % len(_SERVICES)]
    file = io.StringIO()
    written = Transcript(file, service)
    for number, read in enumerate(pieces(octets[1:])):
        if number % 2:
            written.sent([read])
        else:
            written.received(read)
    written.received(_LOGINS[service].encode())
    text = file.getvalue()
    written.closed()
    assert not any(c in text for c in "\x1b\0\x07\r"), "it steers a terminal"
