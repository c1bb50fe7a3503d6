"""A client of the bare engine: no sockets, one store, any number of sessions."""

import random
from collections.abc import Callable, Iterable, Iterator

from pillarbox.imap.engine import ImapEngine
from pillarbox.imap.policy import Policy
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity, ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Account, PasswordHashes, Store
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Link, TlsInfo

EPOCH = 1_700_000_000
TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
ADDRESS = "alice@example.org"
PASSWORD = "correct horse"
NO_HASHES = PasswordHashes("", ScramKeys(b"salt", 4096, b"", b""))

Cut = Callable[[bytes], Iterable[bytes]]


def whole(octets: bytes) -> Iterator[bytes]:
    """One chunk."""
    yield octets


def single(octets: bytes) -> Iterator[bytes]:
    """Octet by octet."""
    for i in range(len(octets)):
        yield octets[i : i + 1]


def at_random(octets: bytes) -> Iterator[bytes]:
    """Cut at random places, the same ones each time."""
    source = random.Random(len(octets))
    start = 0
    while start < len(octets):
        stop = start + source.choice((1, 2, 3, 7, 20, 100))
        yield octets[start:stop]
        start = stop


CUTS: tuple[Cut, ...] = (whole, single, at_random)


class PlainCredentials:
    """Knows one account and one password; the name "busy" cannot be decided now."""

    def __init__(self, account: Account) -> None:
        self.identity = Identity(account.id, account.address)

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        if authcid == "busy":
            raise AuthenticationUnavailable("Too many tries: wait a minute")
        if authcid != self.identity.address or password != Secret(PASSWORD):
            raise AuthenticationFailed
        return self.identity

    async def scram_keys(self, authcid: str) -> ScramKeys:
        raise AuthenticationUnavailable("not here")

    async def scram_verified(self, authcid: str) -> Identity:
        raise AuthenticationFailed

    async def scram_rejected(self, authcid: str) -> None:
        raise AuthenticationFailed

    def typed_in_clear(self, authcid: str, password: Secret) -> None: ...


class Client:
    """One session. `say` sends a command and gives what came back."""

    def __init__(self, engine: ImapEngine, events: list[tuple[str, dict[str, object]]]) -> None:
        self.engine = engine
        self.events = events
        self._tag = 0
        engine.connected()
        self.greeting = self.received()

    def received(self) -> bytes:
        """What the engine wrote since the last time."""
        return b"".join(self.engine.out.take())

    async def send(self, octets: bytes, cut: Cut = whole) -> bytes:
        """Send octets as they are."""
        got = []
        for piece in cut(octets):
            self.engine.receive(piece)
            await self.engine.process()
            got += self.engine.out.take()
        return b"".join(got)

    async def say(self, command: str | bytes) -> list[str]:
        """Send one command under a tag of its own; the response's lines, the tag taken off."""
        self._tag += 1
        tag = f"t{self._tag}".encode()
        octets = command if isinstance(command, bytes) else command.encode()
        lines = (await self.send(tag + b" " + octets + b"\r\n")).decode().split("\r\n")
        assert lines[-1] == "", lines
        return [line.removeprefix(tag.decode() + " ") for line in lines[:-1]]


class Server:
    """A store with one account, and engines upon it."""

    def __init__(self, store: Store, account: Account) -> None:
        self.store = store
        self.account = account
        self.now = float(EPOCH)
        self._connections = 0

    def clock(self) -> float:
        """What the engines take for the time."""
        return self.now

    @classmethod
    async def start(cls, home: Store | None = None) -> "Server":
        store = home or MemoryStore(clock=lambda: EPOCH)
        await store.directory.add_domain("example.org")
        return cls(store, await store.directory.add_account(ADDRESS, NO_HASHES))

    def connect(self, policy: Policy | None = None, *, tls: TlsInfo | None = TLS) -> Client:
        """A new connection, not logged in."""
        self._connections += 1
        events: list[tuple[str, dict[str, object]]] = []
        link = Link(id=f"c{self._connections}", tls=tls, emit=lambda event, /, **facts: events.append((event, facts)))
        credentials = PlainCredentials(self.account)
        return Client(
            ImapEngine(link, self.store, credentials, policy, nonce=lambda: "nonce", clock=self.clock), events
        )

    async def client(self, select: str = "", policy: Policy | None = None) -> Client:
        """A client that is logged in, and has a mailbox selected."""
        client = self.connect(policy)
        assert (await client.say(f'LOGIN {ADDRESS} "{PASSWORD}"'))[-1].startswith("OK")
        if select:
            assert (await client.say(f"SELECT {select}"))[-1].startswith("OK")
        return client
