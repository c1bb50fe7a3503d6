"""Runs an SMTP engine against a fake service, the octets cut in different ways."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity, ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.service import Client
from pillarbox.wire.engine import Link, TlsInfo, Want

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
MX = Policy(hostname="mail.example.test")
MSA = Policy(hostname="mail.example.test", submission=True)
ALICE = Identity(1, "alice@example.test")


class FakeBody:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.octets = b""
        self.discarded = False

    @property
    def size(self) -> int:
        return len(self.octets)

    def write(self, octets: bytes) -> None:
        self.octets += octets

    def discard(self) -> None:
        self.discarded = True


@dataclass
class FakeService:
    """Refuses addresses by their local part: `nobody`, `full`, `bug`; remembers the rest."""

    accepted: list[tuple[str | None, list[str], bytes, str]] = field(default_factory=list)
    bodies: list[FakeBody] = field(default_factory=list)

    watchers: list[Callable[[], None]] = field(default_factory=list)

    def watch_account(self, client: Client, closed: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(closed)
        return lambda: self.watchers.remove(closed)

    async def check_sender(self, client: Client, envelope: Envelope) -> None:
        if envelope.reverse_path and envelope.reverse_path.local_part == "bug":
            raise RuntimeError("a bug")
        if envelope.reverse_path and envelope.reverse_path.local_part == "banned":
            raise Refused(Reply(550, "5.7.1", "You are not welcome"))

    async def check_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        if forward_path.address.local_part == "nobody":
            raise Refused(Reply(550, "5.1.1", "No such mailbox"))

    def open_body(self, client: Client, envelope: Envelope) -> FakeBody:
        if envelope.forward_paths[0].address.local_part == "full":
            raise Refused(Reply(452, "4.3.1", "No space"))
        self.bodies.append(FakeBody())
        return self.bodies[-1]

    async def accept(self, client: Client, envelope: Envelope, body: Any) -> Reply:
        sender = str(envelope.reverse_path) if envelope.reverse_path else None
        recipients = [str(path.address) for path in envelope.forward_paths]
        self.accepted.append((sender, recipients, body.octets, client.protocol))
        return Reply(250, "2.0.0", "Accepted")


class FakeCredentials:
    """Knows one account: alice, password `pillarbox`."""

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        if authcid in ("alice", "alice@example.test") and password.reveal() == "pillarbox":
            return ALICE
        if authcid == "busy":
            raise AuthenticationUnavailable("Too many attempts; try again in 5 minutes")
        raise AuthenticationFailed

    async def scram_keys(self, authcid: str) -> ScramKeys:
        return ScramKeys(b"salt", 4096, bytes(32), bytes(32))

    async def scram_verified(self, authcid: str) -> Identity:
        return ALICE

    async def scram_rejected(self, authcid: str) -> None: ...

    def typed_in_clear(self, authcid: str, password: Secret) -> None: ...


@dataclass
class Run:
    """How a dialog ended."""

    said: bytes
    want: Want
    service: FakeService
    events: list[tuple[str, dict[str, Any]]]
    engine: SmtpEngine

    @property
    def replies(self) -> list[str]:
        """Every reply's last line, without the greeting."""
        lines = self.said.decode().split("\r\n")[:-1]
        return [line for line in lines if line[3:4] == " "][1:]

    @property
    def codes(self) -> list[str]:
        return [line[:3] for line in self.replies]


def cuts(octets: bytes) -> Iterator[Sequence[bytes]]:
    """The octets in one chunk, octet by octet, and cut at random."""
    yield [octets]
    yield [octets[i : i + 1] for i in range(len(octets))]
    for seed in range(3):
        rng = random.Random(seed)
        places = sorted(rng.randrange(len(octets) + 1) for _ in range(min(40, len(octets) // 3 + 1)))
        bounds = [0, *places, len(octets)]
        yield [octets[a:b] for a, b in itertools.pairwise(bounds)]


async def converse(chunks: Sequence[bytes], policy: Policy = MX, *, tls: TlsInfo | None = None, **kwargs: Any) -> Run:
    """Feed the chunks to a new engine until it wants no more."""
    events: list[tuple[str, dict[str, Any]]] = []
    link = Link(tls=tls, emit=lambda event, /, **facts: events.append((event, facts)))
    service = kwargs.pop("service", None) or FakeService()
    credentials = FakeCredentials() if policy.submission else None
    engine = SmtpEngine(link, service, policy, credentials, **kwargs)
    engine.connected()
    said = []
    for chunk in chunks:
        if engine.want is Want.OCTETS:
            engine.receive(chunk)
            await engine.process()
        said += engine.out.take()
    said += engine.out.take()
    return Run(b"".join(said), engine.want, service, events, engine)


async def same_in_every_cut(octets: bytes, policy: Policy = MX, *, tls: TlsInfo | None = None) -> Run:
    """Run the dialog in every cut; the outcome must be the same. Returns one of the runs."""
    runs = [await converse(chunks, policy, tls=tls) for chunks in cuts(octets)]
    first = runs[0]
    for run in runs[1:]:
        assert run.said == first.said
        assert run.want == first.want
        assert run.service.accepted == first.service.accepted
    return first
