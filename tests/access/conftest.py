"""An Access over a store in memory, with a clock that the test moves and a comparison that is counted, not slow."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from pillarbox.access.policy import Policy
from pillarbox.access.service import Access
from pillarbox.access.verifier import Verifier
from pillarbox.sasl.api import Credentials, Identity
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Link

HOME = "203.0.113.7"
ELSEWHERE = "198.51.100.9"


def hashes(password: str) -> PasswordHashes:
    """What `compare` understands in place of argon2."""
    return PasswordHashes(f"hash of {password}", derive_keys(password.encode(), b"salt of " + password.encode(), 4096))


@dataclass
class Bench:
    """`slept` are the delays; `compared` the hashes that passwords were compared with; `events` what was emitted."""

    policy: Policy = field(default_factory=Policy)
    now: float = 1000.0
    store: MemoryStore = field(default_factory=MemoryStore)
    slept: list[float] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.hold.set()
        self._lock = threading.Lock()
        self.access = Access(
            self.store.directory,
            self.policy,
            secret=b"s" * 32,
            clock=lambda: self.now,
            sleep=self._sleep,
            verifier=Verifier(self.policy, self._compare),
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _compare(self, argon2_hash: str, password: Secret) -> bool:
        with self._lock:
            self.compared.append(argon2_hash)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.hold.wait(10)
        with self._lock:
            self.running -= 1
        return argon2_hash == f"hash of {password.reveal()}"

    def _emit(self, event: str, /, **facts: object) -> None:
        self.events.append((event, facts))

    async def people(self) -> "Bench":
        await self.store.directory.add_domain("example.test")
        await self.store.directory.add_account("Alice@example.test", hashes("open sesame"))
        await self.store.directory.add_account("bob@example.test", hashes("hunter2"))
        carol = await self.store.directory.add_account("carol@example.test", hashes("away"))
        await self.store.directory.set_disabled(carol.id, disabled=True)
        return self

    def credentials(self, peer: str = HOME) -> Credentials:
        return self.access.credentials(Link(peer=peer, emit=self._emit))

    async def login(self, name: str, password: str, peer: str = HOME) -> Identity:
        return await self.credentials(peer).check_password(name, Secret(password))


def bench_with(**changes: object) -> Bench:
    return Bench(replace(Policy(), **changes))  # type: ignore[arg-type]


@pytest.fixture
async def bench() -> Bench:
    return await Bench().people()


@pytest.fixture(autouse=True)
def _no_thread_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for value in request.node.funcargs.values():
        if isinstance(value, Bench):
            value.hold.set()
            value.access.close()
