"""Passwords that were sent in the clear: compared in the background, bounded, and of no use to whoever sent them."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest
from tests.access.conftest import ELSEWHERE, HOME, Bench

from pillarbox.access.exposure import DAY, PACE, PER_ACCOUNT, WAITING, WAITING_PER_BLOCK, Exposure, Exposures
from pillarbox.access.passwords import NOBODY
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Account
from pillarbox.wire.engine import Link

ALICE = "Alice@example.test"
KEY = ALICE.lower()
RIGHT, WRONG = Secret("open sesame"), Secret("wrong")


@dataclass
class Watch:
    """An Access with its Exposures; `told` are the warnings, `slept` the pauses of the worker."""

    bench: Bench
    told: list[tuple[str, Exposure]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exposures = Exposures(self.bench.access, self._tell, clock=lambda: 1_700_000_000.0, sleep=self._sleep)
        self.bench.access.in_clear = self.exposures.note

    async def _tell(self, account: Account, exposure: Exposure) -> None:
        self.told.append((account.address, exposure))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def type(self, name: str, password: Secret, peer: str = ELSEWHERE, port: int = 143) -> None:
        """What an engine does."""
        self.bench.access.credentials(Link(peer=peer, local_port=port)).typed_in_clear(name, password)

    async def work(self) -> None:
        """Let the worker do all that waits."""
        before, waiting = len(self.slept), self.exposures._waiting.qsize()
        task = asyncio.create_task(self.exposures.run())
        while len(self.slept) < before + waiting:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def watch(bench: Bench) -> Watch:
    return Watch(bench)


async def test_the_owner_of_the_right_password_is_told(watch: Watch) -> None:
    watch.type("alice@Example.test", RIGHT)
    assert watch.told == []
    assert watch.bench.compared == []
    await watch.work()
    assert watch.told == [(ALICE, Exposure(ELSEWHERE, 143, 1_700_000_000.0))]


async def test_once_a_day(watch: Watch) -> None:
    for peer in (ELSEWHERE, HOME, "192.0.2.1"):
        watch.type(ALICE, RIGHT, peer)
        await watch.work()
    assert len(watch.told) == 1
    watch.bench.now += DAY + 1
    watch.type(ALICE, RIGHT)
    await watch.work()
    assert len(watch.told) == 2


async def test_a_wrong_one_counts_as_a_wrong_password_and_tells_nobody(watch: Watch) -> None:
    throttle, bench = watch.bench.access.throttle, watch.bench
    for number in range(2):
        watch.type(ALICE, Secret(f"wrong {number}"), f"198.51.100.{number}")  # one block
        watch.type("nobody@example.test", WRONG, f"198.51.{number}.1")
    await watch.work()
    assert watch.told == []
    assert (
        len(bench.compared) == 2
    )  # the same account from the same block, the same wrong password: not looked at twice
    for _ in range(bench.policy.block.burst - 1):
        assert throttle.wait(ELSEWHERE, "x@example.test", bench.now) == 0
        throttle.failed(ELSEWHERE, "x@example.test", bench.now)
    assert throttle.wait(ELSEWHERE, "x@example.test", bench.now) > 0  # one wrong password had been counted before
    assert not throttle.is_familiar(ELSEWHERE, KEY, bench.now)


async def test_unknown_and_disabled_cost_the_same(watch: Watch) -> None:
    names = {"nobody@example.test": "x", "carol@example.test": "away", "no address at all": "x", ALICE: "open sesame"}
    for number, (name, password) in enumerate(names.items()):
        watch.type(name, Secret(password), f"192.0.{number}.1")
        await watch.work()
    assert watch.bench.compared == [NOBODY, NOBODY, NOBODY, "hash of open sesame"]
    assert [address for address, _ in watch.told] == [ALICE]


async def test_a_right_one_makes_nothing_easier(watch: Watch) -> None:
    watch.type(ALICE, RIGHT)
    await watch.work()
    access = watch.bench.access
    assert not access.throttle.is_familiar(ELSEWHERE, KEY, watch.bench.now)
    fingerprint = access.verifier.fingerprint(KEY, "hash of open sesame", RIGHT)
    assert access.verifier.recall(fingerprint, watch.bench.now) is None  # the next login is as slow as it was


async def test_whoever_may_not_guess_is_not_compared(watch: Watch) -> None:
    bench = watch.bench
    for _ in range(bench.policy.block.burst):
        bench.access.throttle.failed(ELSEWHERE, "someone@example.test", bench.now)
    watch.type(ALICE, RIGHT)
    await watch.work()
    assert bench.compared == []
    assert watch.told == []


async def test_so_many_comparisons_for_an_account_a_day(watch: Watch) -> None:
    for number in range(3 * PER_ACCOUNT):
        watch.type(ALICE, Secret(f"wrong {number}"), f"192.0.{number}.1")
        await watch.work()
    assert len(watch.bench.compared) == PER_ACCOUNT
    watch.type(ALICE, Secret("again"), "192.0.0.99")
    await watch.work()
    assert len(watch.bench.compared) == PER_ACCOUNT


async def test_a_stranger_in_one_place_does_not_use_up_the_owners(watch: Watch) -> None:
    for number in range(50):
        watch.type(ALICE, Secret(f"wrong {number}"), "192.0.2.1")
        await watch.work()
    watch.type(ALICE, RIGHT, HOME)
    await watch.work()
    assert len(watch.told) == 1


async def test_few_wait_and_one_block_has_few_places(watch: Watch) -> None:
    for _ in range(100):
        watch.type(ALICE, WRONG, ELSEWHERE)
    assert watch.exposures._waiting.qsize() == WAITING_PER_BLOCK
    for number in range(100):
        watch.type(ALICE, WRONG, f"192.0.{number}.1")
    assert watch.exposures._waiting.qsize() == WAITING
    await watch.work()
    assert watch.slept == [PACE] * WAITING  # a pause after each, whatever it was
    assert watch.exposures._blocks == {}
    watch.type(ALICE, RIGHT, HOME)
    assert watch.exposures._waiting.qsize() == 1


async def test_noting_is_the_same_work_for_all(watch: Watch) -> None:
    """No look-up, no hash: what the connection does is the same for right and wrong, known and unknown."""
    for name in (ALICE, "nobody@example.test"):
        for password in (RIGHT, WRONG):
            before = time.process_time()
            watch.type(name, password, f"192.0.{hash((name, password.reveal())) % 250}.1")
            assert time.process_time() - before < 0.01
    assert watch.bench.compared == []


async def test_secrets_do_not_show(watch: Watch) -> None:
    watch.type(ALICE, RIGHT)
    assert "open sesame" not in repr(watch.exposures._waiting)
