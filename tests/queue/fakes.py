"""A clock, a DNS and a world of servers that do as they are told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pillarbox.mail.status import Reply
from pillarbox.mailauth.dns import Answer, DnsUnavailable, Existence, Mx, Tlsa
from pillarbox.queue.attempt import Content, PeerFailed, TlsFailed
from pillarbox.queue.policy import Policy
from pillarbox.queue.routing import Peer
from pillarbox.queue.runner import QueueRunner
from pillarbox.sasl.api import ScramKeys
from pillarbox.smtp.client.transaction import Transaction
from pillarbox.store.api import PasswordHashes, Relay
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool

HASHES = PasswordHashes("x", ScramKeys(b"s", 4096, b"k", b"v"))
OK = Reply(250, "2.0.0", "ok")
LATER = Reply(451, "4.7.1", "later")
NO = Reply(550, "5.1.1", "nobody here")
MESSAGE = b"From: alice@here.test\r\nMessage-ID: <m1@here.test>\r\nSubject: lunch\r\n\r\nAt noon?\r\n"

T = TypeVar("T")


@dataclass
class FakeDns:
    """`mx`: domain to records, or None for a name that does not exist; "?" in a name: no answer."""

    mail: dict[str, list[tuple[int, str]] | None] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _answer(self, name: str, records: list[T] | None) -> Answer[T]:
        self.asked.append(name)
        if "?" in name:
            raise DnsUnavailable("silence")
        if records is None:
            return Answer(Existence.NO_NAME)
        return Answer(Existence.FOUND, tuple(records)) if records else Answer(Existence.NO_DATA)

    async def mx(self, domain: str) -> Answer[Mx]:
        found = self.mail.get(domain, [])
        return self._answer(domain, None if found is None else [Mx(p, h) for p, h in found])

    async def a(self, host: str) -> Answer[str]:
        return self._answer(host, [a for a in self.hosts[host] if ":" not in a] if host in self.hosts else None)

    async def aaaa(self, host: str) -> Answer[str]:
        return self._answer(host, [a for a in self.hosts[host] if ":" in a] if host in self.hosts else None)

    async def txt(self, name: str) -> Answer[bytes]:
        return self._answer(name, [])

    async def ptr(self, address: str) -> Answer[str]:
        return self._answer(address, [])

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return self._answer(name, [])


Behaviour = Callable[[str], Reply]


@dataclass
class FakeWorld:
    """Servers by address: what each says to a recipient, or an exception for the session. Everyone else is unreachable."""

    servers: dict[str, Behaviour | Exception] = field(default_factory=dict)
    calls: list[tuple[Peer, list[str]]] = field(default_factory=list)
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    notifying: bool = False

    async def send(self, peer: Peer, transaction: Transaction, content: Content) -> str:
        self.calls.append((peer, [r.address for r in transaction.recipients]))
        behaviour = self.servers.get(peer.address, PeerFailed(Reply(451, "4.4.1", "no connection")))
        if isinstance(behaviour, TlsFailed) and peer.tls.value == "none":
            behaviour = lambda _address: OK  # noqa: E731
        if isinstance(behaviour, Exception):
            raise behaviour
        transaction.notifying = self.notifying
        transaction.outcomes = [behaviour(r.address) for r in transaction.recipients]
        octets = b"".join([chunk async for chunk in content()])
        for recipient, outcome in zip(transaction.recipients, transaction.outcomes, strict=True):
            if outcome is not None and outcome.is_success:
                self.received.append((transaction.reverse_path, recipient.address, octets))
        return ""


class House:
    """A memory store with alice@here.test, a runner, and a clock that is moved by hand."""

    def __init__(self, **policy: Any) -> None:
        self.now = 1_000_000.0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.store = MemoryStore(clock=lambda: self.now)
        self.dns = FakeDns(
            {"them.test": [(10, "mx.them.test")], "other.test": [(10, "mx.other.test")]},
            {"mx.them.test": ["192.0.2.1"], "mx.other.test": ["192.0.2.2"]},
        )
        self.world = FakeWorld({"192.0.2.1": lambda _a: OK, "192.0.2.2": lambda _a: OK})
        self.numbers = iter(range(1, 1000))
        self.runner = QueueRunner(
            self.store,
            self.world,
            self.dns,
            Policy(host_name="mx.here.test", **policy),
            clock=lambda: self.now,
            chance=lambda: 0.5,
            shuffle=list,
            new_id=lambda: f"id{next(self.numbers)}",
            emit=lambda event, /, **facts: self.events.append((event, facts)),
        )
        self.alice = 0

    async def open(self) -> "House":
        await self.store.directory.add_domain("here.test")
        self.alice = (await self.store.directory.add_account("alice@here.test", HASHES)).id
        return self

    async def submit(
        self, *recipients: str, reverse_path: str = "alice@here.test", octets: bytes = MESSAGE, **parameters: str
    ) -> None:
        relay = Relay("Q1", reverse_path, [(r, {}) for r in recipients], self.alice, parameters)
        await self.store.accept(Spool.of(octets), [], relay)

    async def work(self) -> int:
        """Everything that is due now, to its end."""
        started = await self.runner.start_due()
        await self.runner.settle()
        return started

    async def inbox(self) -> list[bytes]:
        view = await self.store.mail.open(self.alice, "INBOX")
        return [await self.store.mail.octets(self.alice, view.mailbox, uid) or b"" for uid in view.uids]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.events if name == event]
