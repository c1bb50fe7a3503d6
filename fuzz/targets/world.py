"""What engines stand on while they are fuzzed: one account, a memory store, credentials, and a driver."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity, ScramKeys
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import NewMessage, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Engine, TlsInfo, Want

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
NAME, PASSWORD = "a@b.test", "pw"
KEYS = derive_keys(PASSWORD.encode(), b"0123456789abcdef", 4096)
EPOCH = 1_700_000_000
MAX_ANSWER = 64 * 1024 * 1024
"""Octets that one input may be answered with: amplification is bounded by the mailbox, which is small here."""

MESSAGES = (
    b"From: a@b.test\r\nSubject: one\r\nMessage-ID: <1@b.test>\r\n\r\nbody\r\n.dot\r\n",
    b'Subject: =?utf-8?q?z=C3=BC?=\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--x\r\n"
    b"Content-Type: message/rfc822\r\n\r\nTo: c@d.test\r\n\r\ninner\r\n--x--\r\n",
)

_RUNNER = asyncio.Runner()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the one loop of this process."""
    _RUNNER.run(work)


class Bug(AssertionError):
    """The engine confessed a mistake of its own."""


def emit(event: str, /, **facts: Any) -> None:
    """Events of an engine: a confession is what is searched for."""
    if event in ("internal_error", "bug"):
        raise Bug(repr(facts)) from facts.get("error")
    if PASSWORD in map(str, facts.values()):
        raise Bug(f"a secret in the event {event}")


class OneAccount:
    """Credentials of a@b.test."""

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        if authcid == "busy":
            raise AuthenticationUnavailable("Try again later")
        if authcid != NAME or password.reveal() != PASSWORD:
            raise AuthenticationFailed
        return Identity(1, NAME)

    async def scram_keys(self, authcid: str) -> ScramKeys:
        return KEYS

    async def scram_verified(self, authcid: str) -> Identity:
        if authcid != NAME:
            raise AuthenticationFailed
        return Identity(1, NAME)

    async def scram_rejected(self, authcid: str) -> None: ...


async def open_store() -> MemoryStore:
    """A store with the account and two messages in its INBOX."""
    store = MemoryStore(clock=lambda: EPOCH)
    await store.directory.add_domain("b.test")
    await store.directory.add_account(NAME, PasswordHashes("", KEYS))
    for octets in MESSAGES:
        await store.mail.append(1, "INBOX", [NewMessage(Spool.of(octets))])
    return store


def pieces(octets: bytes) -> list[bytes]:
    """An input as reads: its first octet says how it is cut, by lines or in so many octets."""
    size = octets[0] if octets else 0
    octets = octets[1:]
    if size < 128:
        return octets.splitlines(keepends=True) if size < 96 else [octets]
    size -= 127
    return [octets[i : i + size] for i in range(0, len(octets), size)]


async def converse(engine: Engine, reads: list[bytes], first: bytes = b"") -> None:
    """Let the engine hear `first` and the reads, start TLS when it wants that, and end. Checks what every engine promises."""
    engine.connected()
    answered = sum(map(len, engine.out.take()))
    received = 0
    for read in ([first] if first else []) + reads:
        if engine.want is Want.CLOSE:
            break
        if engine.want is Want.TLS:
            engine.tls_started(TLS)
        engine.receive(read)
        received += len(read)
        await engine.process()
        answered += sum(map(len, engine.out.take()))
        assert engine.backlog <= received + len(first)
        assert engine.timeout > 0
    assert answered < MAX_ANSWER
    engine.timed_out()
    engine.shutting_down()
    await engine.process()
    engine.disconnected()
