"""Transcripts: whatever a client says, in whatever pieces, no password that a server took is written down."""

import io
from base64 import b64encode
from collections.abc import Callable

from fuzz.targets.conversation import converse
from fuzz.targets.engines import imap_engine, pop3_engine, smtp_engine
from fuzz.targets.world import NAME, OneAccount, open_store, pieces, run
from pillarbox.observe.transcript import Transcript
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Engine

_SERVICES: dict[str, Callable[[int, MemoryStore, OneAccount], Engine]] = {
    "smtp": smtp_engine,
    "submission": smtp_engine,
    "pop3": pop3_engine,
    "imap": imap_engine,
}
_MODES = {"smtp": 1, "submission": 5, "pop3": 1, "imap": 1}
_PASSWORD, _PLAIN, _CODED = b"\x01", b"\x02", b"\x03"
"""Octets that stand for a password in an input: as it is, in a PLAIN response, in base64. Each one is another password, so
that its being written down elsewhere cannot be taken for its being written down where it was one."""


def transcript(octets: bytes) -> None:
    """The first octet is the protocol; the rest is what the client says to a real engine."""
    run(_transcript(octets))


async def _transcript(octets: bytes) -> None:
    service = list(_SERVICES)[(octets[0] if octets else 0) % len(_SERVICES)]
    reads = pieces(octets[1:2] + _filled(octets[2:]))
    file = io.StringIO()
    written = Transcript(file, service)

    def tap(by_client: bool, said: bytes) -> None:
        if by_client:
            written.received(said)
        else:
            written.sent([said])

    account = OneAccount()
    await converse(_SERVICES[service](_MODES[service], await open_store(), account), reads, tap=tap)
    text = file.getvalue()
    written.closed()
    assert not any(c in text for c in "\x1b\0\x07\r"), "it steers a terminal"
    for password in account.passwords:
        if password.startswith("secret-") and password.endswith("-sesame") and password.count("-") == 2:
            for form in (password, *_coded(password)):
                assert form not in text, f"{form!r} is written down"


def _coded(password: str) -> tuple[str, str]:
    return b64encode(password.encode()).decode(), b64encode(f"\0{NAME}\0{password}".encode()).decode()


def _filled(octets: bytes) -> bytes:
    """The input with a new password for each octet that stands for one."""
    parts: list[bytes] = []
    number = 100
    for octet in (octets[i : i + 1] for i in range(len(octets))):
        if octet in (_PASSWORD, _PLAIN, _CODED):
            number += 1
            password = f"secret-{number}-sesame"
            coded, plain = _coded(password)
            octet = {_PASSWORD: password, _PLAIN: plain, _CODED: coded}[octet].encode()
        parts.append(octet)
    return b"".join(parts)
