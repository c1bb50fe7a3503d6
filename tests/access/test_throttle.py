"""The throttle's table: who is refused, for how long, and who never is."""

from dataclasses import replace

import pytest

from pillarbox.access.blocks import Blocks
from pillarbox.access.policy import Budget, Policy
from pillarbox.access.throttle import Throttle

POLICY = Policy(block=Budget(3, 60), account=Budget(4, 60), familiar=Budget(3, 60), first_delay=0.5, longest_delay=8)


@pytest.mark.parametrize(
    ("peer", "block", "local"),
    [
        ("203.0.113.7", "203.0.113.0/24", False),
        ("8.8.8.8", "8.8.8.0/24", False),
        ("::ffff:8.8.8.8", "8.8.8.0/24", False),
        ("2600:1f18:1:2:3:4:5:6", "2600:1f18:1:2::/64", False),
        ("2600:1f18:1:2::1%eth0", "2600:1f18:1:2::/64", False),
        ("127.0.0.1", "127.0.0.0/24", True),
        ("::1", "::/64", True),
        ("10.1.2.3", "10.1.2.0/24", True),
        ("fd00::1", "fd00::/64", True),
        ("fe80::1%eth0", "fe80::/64", True),
        ("100.64.0.1", "100.64.0.0/24", True),
        ("", "", True),
    ],
)
def test_address_blocks(peer: str, block: str, local: bool) -> None:
    assert Blocks().of(peer) == (block, local)


# Each line: what happened before, as (seconds, peer, name, good), and who must wait how long at the end.
A, A2, B, C, D = "8.8.8.8", "8.8.8.9", "9.9.9.9", "11.1.1.1", "12.1.1.1"
TABLE = [
    ([], A, "alice", 0),
    ([(0, A, "alice", False)] * 2, A, "alice", 0),
    ([(0, A, "alice", False)] * 3, A, "alice", 60),
    ([(0, A, "alice", False)] * 30, A, "alice", 60),  # nothing adds up beyond the burst
    ([(0, A, "alice", False)] * 3, A2, "bob", 60),  # the whole block, any name
    ([(0, A, "alice", False)] * 3, B, "alice", 0),  # not other blocks
    ([(0, A, "a", False), (20, A, "b", False), (40, A, "c", False)], A, "d", 20),  # 40 of 60 seconds are over
    ([(0, A, "alice", False)] * 2 + [(0, B, "alice", False)] * 2, C, "alice", 60),  # the account, from anywhere unknown
    ([(0, A, "alice", False)] * 2 + [(0, B, "alice", False)] * 2, C, "bob", 0),
    ([(0, D, "alice", True)] + [(0, A, "alice", False)] * 2 + [(0, B, "alice", False)] * 2, D, "alice", 0),  # familiar
    ([(0, A, "alice", True)] + [(0, A2, "bob", False)] * 3, A, "alice", 0),  # a bad neighbour does not matter
    ([(0, A, "alice", True)] + [(0, A, "alice", False)] * 3, A, "alice", 60),  # but one's own budget does
    ([(0, A, "alice", True)] + [(0, A, "alice", False)] * 2 + [(0, B, "alice", False)] * 2, C, "alice", 0),
    ([(0, "127.0.0.1", "alice", False)] * 99, "127.0.0.1", "alice", 0),  # never refused
    ([(0, "10.0.0.1", "alice", False)] * 99, "10.0.0.2", "bob", 0),
]


@pytest.mark.parametrize(("before", "peer", "name", "wait"), TABLE)
def test_who_waits(before: list[tuple[float, str, str, bool]], peer: str, name: str, wait: float) -> None:
    throttle = Throttle(POLICY)
    now = 0.0
    for at, other, account, good in before:
        now = at
        (throttle.succeeded if good else throttle.failed)(other, account, now)
    assert throttle.wait(peer, name, now) == pytest.approx(wait)


def test_nothing_is_permanent() -> None:
    throttle = Throttle(POLICY)
    for _ in range(100):
        throttle.failed(A, "alice", 0)
    assert throttle.wait(A, "alice", 59) == pytest.approx(1)
    assert throttle.wait(A, "alice", 60) == 0
    throttle.failed(A, "alice", 60)
    assert throttle.wait(A, "alice", 60) == 60
    assert throttle.wait(A, "alice", 60 + 180) == 0


def test_familiarity_ends() -> None:
    throttle = Throttle(POLICY)
    throttle.succeeded(A, "alice", 0)
    assert throttle.is_familiar(A2, "alice", POLICY.familiar_for)
    assert not throttle.is_familiar(A, "alice", POLICY.familiar_for + 1)
    assert not throttle.is_familiar(B, "alice", 0)


def test_delays_grow_to_a_limit_and_stay_modest_for_local_peers() -> None:
    throttle = Throttle(Policy())
    delays = []
    for _ in range(8):
        throttle.failed(A, "alice", 0)
        delays.append(throttle.delay(A, "alice", 0))
    assert delays == [0.5, 1, 2, 4, 8, 8, 8, 8]
    assert throttle.delay(A2, "bob", 0) == 8  # the block's level counts
    for _ in range(50):
        throttle.failed("127.0.0.1", "alice", 0)
    assert throttle.delay("127.0.0.1", "alice", 0) == 1
    assert throttle.delay("127.0.0.1", "bob", 0) == 0.5


def test_an_administrator_forgives() -> None:
    throttle = Throttle(POLICY)
    for peer in (A, B, C, D):
        for _ in range(3):
            throttle.failed(peer, "alice", 0)
    assert throttle.forgive(A2) == 2  # the block, and alice from there
    assert throttle.wait(A, "bob", 0) == 0
    assert throttle.wait(A, "alice", 0) == 60
    throttle.forgive(A, "alice")
    assert throttle.wait(A, "alice", 0) == 0
    assert throttle.wait(B, "bob", 0) == 60
    throttle.forgive()
    assert throttle.wait(B, "bob", 0) == 0


def test_memory_is_bounded() -> None:
    throttle = Throttle(Policy(remembered=100))
    for i in range(1000):
        throttle.failed(f"8.{i // 256}.{i % 256}.1", f"name{i}", 0)
        throttle.succeeded(f"8.{i // 256}.{i % 256}.1", f"name{i}", 0)
    for table in (throttle._blocks._levels, throttle._accounts._levels, throttle._pairs._levels, throttle._familiar):
        assert len(table) <= 100


def test_an_account_is_forgiven_wherever_it_was_tried() -> None:
    throttle = Throttle(POLICY)
    throttle.succeeded(A, "alice", 0)
    for _ in range(3):
        throttle.failed(A, "alice", 0)  # her own budget there is used up
    assert throttle.wait(A, "alice", 0) == 60
    assert throttle.forgive(name="alice") == 1
    assert throttle.wait(A, "alice", 0) == 0
    assert throttle.forgive(name="nobody") == 0


def test_suspicions_say_who_is_refused() -> None:
    throttle = Throttle(POLICY)
    throttle.failed("127.0.0.1", "bob", 0)
    for _ in range(3):
        throttle.failed(A, "alice", 0)
    found = throttle.suspicions(0)
    assert [(each.block, each.account, each.wrong, each.wait) for each in found[:1]] == [("8.8.8.0/24", "", 3, 60)]
    assert {(each.block, each.account) for each in found} == {
        ("8.8.8.0/24", ""),
        ("127.0.0.0/24", ""),
        ("", "alice"),
        ("", "bob"),
        ("8.8.8.0/24", "alice"),
        ("127.0.0.0/24", "bob"),
    }
    assert throttle.suspicions(3600) == []


def test_another_policy_forgets_nothing() -> None:
    throttle = Throttle(POLICY)
    for _ in range(2):
        throttle.failed(A, "alice", 0)
    assert throttle.wait(A, "bob", 0) == 0
    throttle.change(replace(POLICY, block=Budget(2, 60)))
    assert throttle.wait(A, "bob", 0) == 60
    throttle.change(replace(POLICY, block=Budget(2, 60), never_refused=("8.0.0.0/8",)))
    assert throttle.wait(A, "bob", 0) == 0
    throttle.change(replace(POLICY, never_refused=()))
    for _ in range(9):
        throttle.failed("127.0.0.1", "alice", 0)
    assert throttle.wait("127.0.0.1", "alice", 0) == 60


def test_block_sizes_are_a_matter_of_policy() -> None:
    blocks = Blocks(32, 48, ())
    assert blocks.of("203.0.113.7") == ("203.0.113.7", False)
    assert blocks.of("2001:db8:1:2::9") == ("2001:db8:1::/48", False)
    assert blocks.of("::1") == ("::/48", False)
    for number in range(10_000):
        blocks.of(f"10.{number // 256}.{number % 256}.1")
    assert len(blocks._known) <= 4096
