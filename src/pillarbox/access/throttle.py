"""Throttle: slows down whoever guesses passwords, and never locks the owner out.

The rules, in the order of their use:
- A wrong password is answered late, later each time.
- Too many from one address block (/24 of IPv4, /64 of IPv6): that block is refused for now, for any account.
- Too many for one account from anywhere: refused for now, but not from blocks where it logged in well lately; those have
  a budget of their own, so that nobody elsewhere can use up the owner's.
- Loopback and private addresses are never refused, because a whole site may be hidden behind one of them.
- Nothing is permanent: each budget refills, one attempt at a time. What is counted is bounded; blocks and familiar places
  outlive a restart (kept.py).

Security: names are counted whether they exist or not, so a refusal tells nothing about an account.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from pillarbox.access.blocks import Blocks
from pillarbox.access.policy import Budget, Policy
from pillarbox.access.recent import Recent


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Wrong passwords that are not yet forgiven: from an address block, for an account, or (both) for an account from a
    block. `wait` is for how many seconds that is refused now; 0 when it is only answered late."""

    block: str
    account: str
    wrong: float
    wait: float


class Memory(msgspec.Struct, forbid_unknown_fields=True):
    """What outlives a restart: address blocks with wrong passwords that are not yet forgiven, and familiar places ("block
    name") with the seconds since the last good login there."""

    blocks: list[tuple[str, float]]
    familiar: list[tuple[str, float]]


class Levels:
    """Leaky counters of one Budget."""

    __slots__ = ("_budget", "_levels")

    def __init__(self, budget: Budget, size: int) -> None:
        self._levels: Recent[str, tuple[float, float]] = Recent(size, 0.0)
        self.change(budget, size)

    def change(self, budget: Budget, size: int) -> None:
        """Another budget from now on; what was counted stays."""
        self._budget = budget
        self._levels.size, self._levels.lifetime = size, budget.burst * budget.refill

    def __len__(self) -> int:
        return len(self._levels)

    def level(self, key: str, now: float) -> float:
        """How many wrong passwords are not yet forgiven."""
        level, at = self._levels.get(key, now) or (0.0, now)
        return max(0.0, level - max(0.0, now - at) / self._budget.refill)

    def add(self, key: str, now: float) -> None:
        """One wrong password more. The level never rises above the burst, so the wait is never longer than a refill."""
        self._levels.put(key, (min(self.level(key, now) + 1, float(self._budget.burst)), now), now)

    def left(self, now: float) -> list[tuple[str, float]]:
        """Each key whose wrong passwords are not yet forgiven, and how many. There may be thousands."""
        refill = self._budget.refill
        return [
            (key, level)
            for key, (_, (counted, at)) in self._levels.entries()
            if (level := counted - max(0.0, now - at) / refill) > 0
        ]

    def restore(self, key: str, level: float, now: float) -> None:
        """So many wrong passwords are not yet forgiven."""
        if level > 0:
            self._levels.put(key, (min(level, float(self._budget.burst)), now), now)

    @property
    def refill(self) -> float:
        """Seconds after which one is forgiven."""
        return self._budget.refill

    def wait(self, key: str, now: float) -> float:
        """Seconds until another attempt is allowed; 0 when it is allowed now."""
        return max(0.0, (self.level(key, now) + 1 - self._budget.burst) * self._budget.refill)

    def forget(self, concerns: Callable[[str], bool]) -> int:
        """Forgive whoever this is true of; returns how many there were."""
        keys = [key for key in self._levels if concerns(key)]
        for key in keys:
            self._levels.forget(key)
        return len(keys)

    def counted(self, now: float) -> Iterator[tuple[str, float, float]]:
        """Key, wrong passwords not yet forgiven, seconds for which it is refused."""
        for key in list(self._levels):
            if level := self.level(key, now):
                yield key, level, self.wait(key, now)


class Throttle:
    """The tables. `name` is the normalised name that the client gave; `now` a clock that only moves forward, seconds."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.blocks = _blocks(policy)
        self._blocks = Levels(policy.block, policy.remembered)
        self._accounts = Levels(policy.account, policy.remembered)
        self._pairs = Levels(policy.familiar, policy.remembered)
        self._familiar: Recent[str, bool] = Recent(policy.remembered, policy.familiar_for)
        self.version = 0  # grows with each change of what `memory` gives

    def change(self, policy: Policy) -> None:
        """Another policy from now on; what was counted stays."""
        self._policy = policy
        self.blocks = _blocks(policy)
        self._blocks.change(policy.block, policy.remembered)
        self._accounts.change(policy.account, policy.remembered)
        self._pairs.change(policy.familiar, policy.remembered)
        self._familiar.size, self._familiar.lifetime = policy.remembered, policy.familiar_for

    def is_familiar(self, peer: str, name: str, now: float) -> bool:
        """Whether this account logged in well from this address block lately."""
        return self._familiar.get(self._pair(peer, name), now) is not None

    def wait(self, peer: str, name: str, now: float) -> float:
        """Seconds for which this attempt is refused; 0 when it may go on."""
        block, exempt = self.blocks.of(peer)
        if exempt:
            return 0.0
        if self.is_familiar(peer, name, now):
            return self._pairs.wait(self._pair(peer, name), now)
        return max(self._blocks.wait(block, now), self._accounts.wait(name, now))

    def failed(self, peer: str, name: str, now: float) -> None:
        """A wrong password, one that was not counted before."""
        self.version += 1
        self._blocks.add(self.blocks.of(peer)[0], now)
        self._pairs.add(self._pair(peer, name), now)
        if not self.is_familiar(peer, name, now):
            self._accounts.add(name, now)

    def succeeded(self, peer: str, name: str, now: float) -> None:
        """A good login: from now on this block is familiar. It forgives nothing, or a guesser's own account would."""
        self.version += 1
        self._familiar.put(self._pair(peer, name), True, now)  # noqa: FBT003

    def delay(self, peer: str, name: str, now: float) -> float:
        """How late to answer a wrong password, seconds."""
        policy = self._policy
        block, exempt = self.blocks.of(peer)
        longest = policy.local_delay if exempt else policy.longest_delay
        level = self._pairs.level(self._pair(peer, name), now)
        if not exempt:
            level = max(level, self._blocks.level(block, now))
        return float(min(longest, policy.first_delay * 2 ** max(0.0, min(level, 32.0) - 1)))

    def suspicions(self, now: float) -> list[Suspicion]:
        """All that is counted, what is refused longest first."""
        found = [Suspicion(block, "", level, wait) for block, level, wait in self._blocks.counted(now)]
        found += [Suspicion("", name, level, wait) for name, level, wait in self._accounts.counted(now)]
        for pair, level, wait in self._pairs.counted(now):
            block, _, name = pair.partition(" ")
            found.append(Suspicion(block, name, level, wait if self._familiar.get(pair, now) else 0.0))
        return sorted(found, key=lambda each: (-each.wait, -each.wrong))

    def forgive(self, peer: str | None = None, name: str | None = None) -> int:
        """An administrator forgives an address's block, an account, or (nothing given) everybody; pairs of them too.
        Returns how many entries there were."""
        self.version += 1
        block = None if peer is None else self.blocks.of(peer)[0]
        both = block is not None and name is not None
        forgiven = 0
        if name is None or both:
            forgiven += self._blocks.forget(lambda key: block is None or key == block)
        if block is None or both:
            forgiven += self._accounts.forget(lambda key: name is None or key == name)
        return forgiven + self._pairs.forget(
            lambda key: (block is None or key.startswith(f"{block} ")) and (name is None or key.endswith(f" {name}"))
        )

    def memory(self, now: float) -> Memory:
        """What is to outlive a restart."""
        longest = self._familiar.lifetime
        familiar = [(place, now - put) for place, (put, _) in self._familiar.entries() if now - put <= longest]
        return Memory(self._blocks.left(now), familiar)

    def remember(self, memory: Memory, now: float, elapsed: float) -> None:
        """What was so `elapsed` seconds ago, in a throttle that is empty."""
        for block, level in memory.blocks:
            self._blocks.restore(block, level - elapsed / self._blocks.refill, now)
        for place, age in memory.familiar:
            since = max(0.0, age) + elapsed
            if since <= self._policy.familiar_for:
                self._familiar.put(place, True, now - since)  # noqa: FBT003

    def sizes(self) -> dict[str, int]:
        """How many entries each table has, those that are forgiven and not yet dropped included."""
        return {
            "blocks": len(self._blocks),
            "accounts": len(self._accounts),
            "pairs": len(self._pairs),
            "familiar": len(self._familiar),
        }

    def _pair(self, peer: str, name: str) -> str:
        return f"{self.blocks.of(peer)[0]} {name}"


def _blocks(policy: Policy) -> Blocks:
    return Blocks(policy.ipv4_block, policy.ipv6_block, policy.never_refused)
