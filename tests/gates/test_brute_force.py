"""Guessing, through every port and mechanism: nothing tells an unknown name from a wrong password, guessing is slow, and the
owner gets in where they logged in well before."""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.gates.ports import PORTS, Lines, Port

from pillarbox.access.passwords import NOBODY, hash_password, verify_password
from pillarbox.access.policy import Policy
from pillarbox.access.service import Access
from pillarbox.access.verifier import Verifier
from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.registry import MECHANISMS
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Alias, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Engine, Link, TlsInfo, Want

OPEN_PORTS = [port for port in PORTS if port.takes_logins]
ALICE, CAROL, BOSS = "alice@example.test", "carol@example.test", "boss@example.test"
RIGHT = "open sesame"
OWNERS_PLACE, GUESSER = "203.0.113.9", "198.51.100.7"

NOBODIES = {
    "unknown": "nobody@example.test",
    "disabled": CAROL,
    "alias": BOSS,
    "another domain": "alice@elsewhere.example",
    "no address": "alice@@example",
    "tagged": "alice+x@example.test",
}


def _hashes(password: str) -> PasswordHashes:
    """What `House.compare` understands in place of argon2."""
    return PasswordHashes(f"hash of {password}", derive_keys(password.encode(), b"0123456789abcdef", 4096))


class AtOnce(Verifier):
    """Compares without a thread."""

    async def verify(self, argon2_hash: str, password: Secret, *, reserved: bool) -> bool:
        return self._compare(argon2_hash, password)


@dataclass
class House:
    """All ports over one Access, with its ordinary policy, a counted comparison and a clock that tests move."""

    store: MemoryStore = field(default_factory=MemoryStore)
    policy: Policy = field(default_factory=Policy)
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    compared: int = 0

    @classmethod
    async def open(cls) -> "House":
        house = cls()
        directory = house.store.directory
        await directory.add_domain("example.test")
        await directory.add_account(ALICE, _hashes(RIGHT))
        carol = await directory.add_account(CAROL, _hashes(RIGHT))
        await directory.set_disabled(carol.id, disabled=True)
        await directory.add_alias(Alias(BOSS, (ALICE,)))
        verifier = AtOnce(house.policy, house.compare)
        house.access = Access(  # type: ignore[attr-defined]
            directory, house.policy, secret=b"s" * 32, clock=lambda: house.now, sleep=house.sleep, verifier=verifier
        )
        return house

    def compare(self, argon2_hash: str, password: Secret) -> bool:
        self.compared += 1
        return argon2_hash == f"hash of {password.reveal()}"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def connect(self, port: Port, peer: str) -> "Call":
        link = Link(peer=peer, tls=TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
        engine = port.open(link, self.store, self.access.credentials(link))  # type: ignore[attr-defined]
        return Call(engine)

    async def attempt(self, port: Port, lines: Lines, peer: str = GUESSER) -> bytes:
        """One login on a connection of its own; all that is said to it."""
        call = self.connect(port, peer)
        said = [await call.say(line) for line in (port.hello, *lines) if call.engine.want is Want.OCTETS]
        return b"".join(said[1:])

    async def scram(self, port: Port, name: str, password: str, peer: str = GUESSER) -> bytes:
        client, call = ScramClient(name, Secret(password), lambda: "client"), self.connect(port, peer)
        await call.say(port.hello)
        command = next(lines[0].rpartition(b"PLAIN")[0] for lines in port.good if b"PLAIN" in lines[0])
        reply = await call.say(command + b"SCRAM-SHA-256 " + b64encode(client.initial()))
        while reply.startswith((b"334 ", b"+ ")):
            reply = await call.say(b64encode(client.answer(b64decode(reply.strip().split(b" ", 1)[1]))))
        return reply


@dataclass
class Call:
    engine: Engine

    def __post_init__(self) -> None:
        self.engine.connected()
        self.engine.out.take()

    async def say(self, line: bytes) -> bytes:
        self.engine.receive(line + b"\r\n")
        await self.engine.process()
        return b"".join(self.engine.out.take())


def ways(port: Port, name: str, password: str) -> dict[str, Lines]:
    """Every way to say a password on this port, by what the capability list calls it."""
    command = next(lines[0].rpartition(b"PLAIN")[0] for lines in port.good if b"PLAIN" in lines[0])
    plain, name64, password64 = (b64encode(text.encode()) for text in (f"\0{name}\0{password}", name, password))
    found: dict[str, Lines] = {
        "PLAIN": (command + b"PLAIN " + plain,),
        "LOGIN": (command + b"LOGIN", name64, password64),
    }
    if port.name.startswith("pop3"):
        found["USER"] = (f"USER {name}".encode(), f"PASS {password}".encode())
    elif port.name.startswith("imap"):
        found["LOGIN command"] = (f'a LOGIN "{name}" "{password}"'.encode(),)
    return found


def test_each_mechanism_is_tried() -> None:
    tried = {way for port in OPEN_PORTS for way in ways(port, "x", "y")}
    assert set(MECHANISMS) <= tried | {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}


@pytest.mark.parametrize("who", NOBODIES)
@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_nobody_is_like_a_wrong_password(port: Port, who: str) -> None:
    """Same text, same number of comparisons, same delay; the first time, and when it is repeated."""
    for way in ways(port, ALICE, "wrong"):
        seen = []
        for name, password in ((ALICE, "wrong"), (NOBODIES[who], RIGHT)):
            house = await House.open()
            for _repeated in range(2):
                said = await house.attempt(port, ways(port, name, password)[way])
                seen.append((said, house.compared, tuple(house.slept)))
        assert seen[:2] == seen[2:], way
        assert port.success not in seen[0][0]
        assert seen[0][1] == 1


@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_nobody_is_like_a_wrong_proof(port: Port) -> None:
    for name in ("nobody@example.test", CAROL, BOSS):
        seen = []
        for who, password in ((ALICE, "wrong"), (name, RIGHT)):
            house = await House.open()
            seen.append((await house.scram(port, who, password), tuple(house.slept)))
        assert seen[0] == seen[1], name


@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_a_guesser_is_refused_and_nobody_else(port: Port) -> None:
    """One address block guesses alice's password; the rest of the world does not notice."""
    house = await House.open()
    way = "PLAIN"
    for number in range(house.policy.block.burst):
        peer = f"198.51.100.{number}"  # all of one block
        await house.attempt(port, ways(port, ALICE, f"guess {number}")[way], peer)
    before = house.compared
    said = await house.attempt(port, ways(port, ALICE, RIGHT)[way])
    assert b"Too many failed logins; try again in 1 minute" in said
    assert await house.attempt(port, ways(port, "nobody@example.test", RIGHT)[way]) == said  # the refusal tells nothing
    assert house.compared == before  # and costs nothing
    assert house.slept == sorted(house.slept)
    assert house.slept[-1] == house.policy.longest_delay
    assert port.success in await house.attempt(port, ways(port, ALICE, RIGHT)[way], OWNERS_PLACE)


@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_a_botnet_does_not_lock_the_owner_out(port: Port) -> None:
    """From everywhere at once: unknown places are refused, the owner's own are not, and all refills."""
    house = await House.open()
    assert port.success in await house.attempt(port, ways(port, ALICE, RIGHT)["PLAIN"], OWNERS_PLACE)
    for number in range(house.policy.account.burst):
        await house.attempt(port, ways(port, ALICE, f"guess {number}")["PLAIN"], f"198.51.{number}.7")
    refused = await house.attempt(port, ways(port, ALICE, RIGHT)["PLAIN"], "192.0.2.200")
    assert b"Too many failed logins" in refused
    for way in ways(port, ALICE, RIGHT):
        assert port.success in await house.attempt(port, ways(port, ALICE, RIGHT)[way], OWNERS_PLACE)
    house.now += house.policy.account.refill
    assert port.success in await house.attempt(port, ways(port, ALICE, RIGHT)["PLAIN"], "192.0.2.200")


async def test_one_budget_for_all_ports() -> None:
    """Nobody guesses more by knocking at another door."""
    house = await House.open()
    for number in range(house.policy.block.burst):
        port = OPEN_PORTS[number % len(OPEN_PORTS)]
        lines = list(ways(port, ALICE, f"guess {number}").values())
        await house.attempt(port, lines[number % len(lines)])
    for port in OPEN_PORTS:
        for lines in ways(port, ALICE, RIGHT).values():
            assert b"Too many failed logins" in await house.attempt(port, lines)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of this thread's own time."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def test_the_work_for_nobody_takes_as_long() -> None:
    """CPU time of the real comparison, the best of several in turns, so that other work on the machine does not matter."""
    hashes = hash_password(Secret(RIGHT)).argon2
    cases = {
        "wrong": lambda: verify_password(hashes, Secret("wrong")),
        "right": lambda: verify_password(hashes, Secret(RIGHT)),
        "nobody": lambda: verify_password(NOBODY, Secret("wrong")),
        "no password at all": lambda: verify_password(hashes, Secret("\u0007")),
        "long": lambda: verify_password(hashes, Secret("x" * 500)),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(7):
        for name, work in cases.items():
            times[name].append(cpu(work))
    best = {name: min(found) for name, found in times.items()}
    assert max(best.values()) < 1.25 * min(best.values()), best
