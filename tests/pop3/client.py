"""A client of the bare POP3 engine: no sockets, one store, any number of sessions."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.sasl.credentials import FakeCredentials

from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.pop3.policy import Policy
from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import NewMessage, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Link, TlsInfo, Want

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
ALICE, BOB = "alice@example.test", "bob@example.test"
PASSWORDS = {ALICE: "open sesame", BOB: "hunter2"}
NO_HASHES = PasswordHashes("", ScramKeys(b"", 4096, b"", b""))
LOGIN = b"USER alice@example.test\r\nPASS open sesame\r\n"

Cut = Callable[[bytes], Iterable[bytes]]


def whole(octets: bytes) -> Iterator[bytes]:
    yield octets


def single(octets: bytes) -> Iterator[bytes]:
    for i in range(len(octets)):
        yield octets[i : i + 1]


def at_random(octets: bytes) -> Iterator[bytes]:
    source = random.Random(octets)
    start = 0
    while start < len(octets):
        stop = start + source.choice((1, 2, 3, 7, 20, 100))
        yield octets[start:stop]
        start = stop


CUTS: tuple[Cut, ...] = (whole, single, at_random)


@dataclass
class Office:
    """A store with two accounts, and engines upon it. `events` is what all of them emitted."""

    store: MemoryStore
    credentials: FakeCredentials = field(default_factory=lambda: FakeCredentials(dict(PASSWORDS)))
    locks: MaildropLocks = field(default_factory=MaildropLocks)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    connections: int = 0

    @classmethod
    async def open(cls, *messages: bytes) -> "Office":
        store = MemoryStore()
        await store.directory.add_domain("example.test")
        for address in PASSWORDS:
            await store.directory.add_account(address, NO_HASHES)
        office = cls(store)
        await office.deliver(*messages)
        return office

    async def deliver(self, *messages: bytes) -> None:
        for octets in messages:
            await self.store.mail.append(1, "INBOX", [NewMessage(Spool.of(octets))])

    async def uids(self) -> list[int]:
        return list((await self.store.mail.open(1, "INBOX")).uids)

    def connect(self, *, tls: TlsInfo | None = TLS, policy: Policy | None = None) -> "Pop3Client":
        self.connections += 1
        link = Link(
            id=f"c{self.connections}", tls=tls, emit=lambda event, /, **facts: self.events.append((event, facts))
        )
        engine = Pop3Engine(link, self.store, self.credentials, policy, locks=self.locks, nonce=lambda: "nonce")
        return Pop3Client(engine)

    async def login(self, *, policy: Policy | None = None) -> "Pop3Client":
        client = self.connect(policy=policy)
        assert (await client.send(LOGIN)).startswith(b"+OK Now the password\r\n+OK ")
        return client


class Pop3Client:
    """One connection; the greeting is taken already."""

    def __init__(self, engine: Pop3Engine) -> None:
        self.engine = engine
        engine.connected()
        self.greeting = b"".join(engine.out.take())

    @property
    def closed(self) -> bool:
        return self.engine.want is Want.CLOSE

    async def send(self, octets: bytes, cut: Cut = whole) -> bytes:
        """Send octets as they are; what came back."""
        got = []
        for piece in cut(octets):
            self.engine.receive(piece)
            await self.engine.process()
            got += self.engine.out.take()
        return b"".join(got)

    async def say(self, command: str) -> str:
        """Send one line; what came back, without the last line end."""
        return (await self.send(command.encode() + b"\r\n")).decode().removesuffix("\r\n")

    async def lines(self, command: str) -> list[str]:
        """Send one line; the lines of a reply of several, without the first and the dot."""
        lines = (await self.say(command)).split("\r\n")
        assert lines[0].startswith("+OK"), lines
        assert lines[-1] == "."
        return lines[1:-1]
