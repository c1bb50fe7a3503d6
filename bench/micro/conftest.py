"""What the small parts are measured on: the corpus of the benchmark, and an IMAP session over a store in memory."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from bench.corpus import corpus
from pillarbox.imap.engine import ImapEngine
from pillarbox.sasl.api import Identity, ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import NewMessage, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Link, TlsInfo

ADDRESS = "user@example.org"
MESSAGES = 200


class OpenDoor:
    """Lets everybody in as one account."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        return self.identity

    async def scram_keys(self, authcid: str) -> ScramKeys:
        raise NotImplementedError

    async def scram_verified(self, authcid: str) -> Identity:
        raise NotImplementedError

    async def scram_rejected(self, authcid: str) -> None:
        raise NotImplementedError


class Session:
    """An IMAP session without a network: `say` sends a command and counts the octets of the answer."""

    def __init__(self, engine: ImapEngine, runner: asyncio.Runner) -> None:
        self._engine = engine
        self._runner = runner
        engine.connected()
        engine.out.take()

    def say(self, command: bytes) -> bytes:
        """One command; its whole answer."""
        return self._runner.run(self._say(b"t " + command + b"\r\n"))

    async def _say(self, octets: bytes) -> bytes:
        self._engine.receive(octets)
        await self._engine.process()
        answer = b"".join(self._engine.out.take())
        assert b"\r\nt OK" in answer or answer.startswith(b"t OK"), answer[-200:]
        return answer


@pytest.fixture(scope="session")
def mail() -> list[bytes]:
    return corpus(MESSAGES)


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def _filled(store: MemoryStore, mail: list[bytes]) -> Identity:
    await store.directory.add_domain("example.org")
    hashes = PasswordHashes("", ScramKeys(b"salt", 4096, b"", b""))
    account = await store.directory.add_account(ADDRESS, hashes)
    await store.mail.append(account.id, "INBOX", [NewMessage(Spool.of(octets)) for octets in mail])
    return Identity(account.id, account.address)


@pytest.fixture(scope="session")
def session(runner: asyncio.Runner, mail: list[bytes]) -> Session:
    """Logged in, INBOX of 200 messages selected."""
    store = MemoryStore()
    identity = runner.run(_filled(store, mail))
    link = Link(tls=TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    made = Session(ImapEngine(link, store, OpenDoor(identity), nonce=lambda: "nonce", clock=time.time), runner)
    made.say(b"LOGIN " + ADDRESS.encode() + b" secret")
    made.say(b"SELECT INBOX")
    return made


def drive(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that has nothing to wait for, without a loop."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        pass
