"""From octets on the wire to octets in the store: the real engine, services and credentials."""

import random
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from tests.corpus import generator
from tests.smtp.dialog import TLS
from tests.transfer.house import a_store, messages

from pillarbox.access.passwords import hash_password
from pillarbox.access.service import Access
from pillarbox.sasl.client import choose
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy as SmtpPolicy
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Link

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "mime"
POLICY = Policy(hostname="mail.example.test")
PASSWORD = Secret("pillarbox")


class Peer:
    """Talks to an engine, one call for each write."""

    def __init__(self, engine: SmtpEngine) -> None:
        self.engine = engine
        engine.connected()
        engine.out.take()

    async def say(self, octets: bytes) -> list[str]:
        self.engine.receive(octets)
        await self.engine.process()
        return b"".join(self.engine.out.take()).decode().split("\r\n")[:-1]

    async def codes(self, octets: bytes) -> list[str]:
        return [line[:3] for line in await self.say(octets) if line[3:4] == " "]


def mx(store: MemoryStore) -> Peer:
    return Peer(SmtpEngine(Link(peer="192.0.2.1"), Reception(store, POLICY), SmtpPolicy(hostname="mail.example.test")))


def msa(store: MemoryStore) -> Peer:
    link = Link(peer="192.0.2.1", tls=TLS)
    policy = SmtpPolicy(hostname="mail.example.test", submission=True)
    return Peer(SmtpEngine(link, Submission(store, POLICY), policy, Access(store.directory).credentials(link)))


@pytest.fixture
async def store() -> MemoryStore:
    store = await a_store()
    account = await store.directory.account("alice@example.test")
    assert account is not None
    await store.directory.set_hashes(account.id, hash_password(PASSWORD))
    return store


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_submits_with_every_mechanism(store: MemoryStore, mechanism: str) -> None:
    peer = msa(store)
    await peer.say(b"EHLO client.example\r\n")
    exchange = choose([mechanism], "alice@example.test", PASSWORD)
    assert exchange is not None
    initial = exchange.initial()
    (line,) = await peer.say(f"AUTH {mechanism}".encode() + (b" " + b64encode(initial) if initial else b"") + b"\r\n")
    while line.startswith("334 "):
        (line,) = await peer.say(b64encode(exchange.answer(b64decode(line[4:]))) + b"\r\n")
    assert line == "235 2.7.0 Welcome"
    exchange.succeeded()
    codes = await peer.codes(
        b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
        b"From: alice@example.test\nSubject: bare line feeds\n\nbody\n\r\n.\r\nQUIT\r\n"
    )
    assert codes == ["250", "250", "354", "250", "221"]
    (got,) = await messages(store, "bob@example.test")
    assert got.endswith(b"From: alice@example.test\r\nSubject: bare line feeds\r\n\r\nbody\r\n\r\n")
    assert b"with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n" in got
    assert b"192.0.2.1" not in got
    assert b"client.example" not in got


def corpus() -> list[bytes]:
    """Real messages where they are at hand, and made-up nasty ones; all with CRLF."""
    rng = random.Random(25)
    made = [
        b"Subject: %d\r\n\r\n" % number
        + b"".join(rng.choice([b".", b"\r\n", b"a", b"\r\n.", b"\xff"]) for _ in range(300))
        + b"\r\n"
        for number in range(20)
    ]
    made += generator.messages(25, 40, sender="x@far.example", recipient="bob@example.test")
    files = sorted(CORPUS.rglob("*.eml")) if CORPUS.is_dir() else []
    real = [file.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n") for file in files]
    return made + [octets if octets.endswith(b"\r\n") else octets + b"\r\n" for octets in real]


@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
async def test_octets_stay_as_they_are(store: MemoryStore, verb: str) -> None:
    rng = random.Random(5321)
    sent = corpus()
    peer = mx(store)
    await peer.say(b"EHLO client.example\r\n")
    for octets in sent:
        start = b"MAIL FROM:<x@far.example>\r\nRCPT TO:<bob@example.test>\r\n"
        if verb == "DATA":
            stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
            whole = start + b"DATA\r\n" + stuffed + b".\r\n"
        else:
            half = rng.randrange(len(octets))
            whole = start + b"BDAT %d\r\n" % half + octets[:half]
            whole += b"BDAT %d LAST\r\n" % (len(octets) - half) + octets[half:]
        codes = []
        while whole:
            size = rng.randrange(1, 20_000)
            codes += await peer.codes(whole[:size])
            whole = whole[size:]
        assert codes[-1] == "250"
    got = await messages(store, "bob@example.test")
    assert [octets.split(b" +0000\r\n", 1)[1] for octets in got] == sent


async def test_one_port_relays_nothing_the_other_only_for_who_logged_in(store: MemoryStore) -> None:
    attempt = b"EHLO x\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<carol@far.example>\r\nDATA\r\n"
    assert await mx(store).codes(attempt) == ["250", "250", "550", "554"]
    assert await msa(store).codes(attempt) == ["250", "530", "503", "503"]
    assert await store.queue.entries() == []
