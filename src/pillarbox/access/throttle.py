"""Throttle: slows down whoever guesses passwords, and never locks the owner out.

The rules, in the order of their use:
- A wrong password is answered late, later each time.
- Too many from one address block (/24 of IPv4, /64 of IPv6): that block is refused for now, for any account.
- Too many for one account from anywhere: refused for now, but not from blocks where it logged in well lately; those have
  a budget of their own, so that nobody elsewhere can use up the owner's.
- Loopback and private addresses are never refused, because a whole site may be hidden behind one of them.
- Nothing is permanent: each budget refills, one attempt at a time. What is counted is kept in memory, bounded.

Security: names are counted whether they exist or not, so a refusal tells nothing about an account.
"""

import ipaddress
from functools import lru_cache

from pillarbox.access.policy import Budget, Policy
from pillarbox.access.recent import Recent

LOCAL = tuple(
    ipaddress.ip_network(n)
    for n in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128",
              "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Networks behind which many may be hidden (RFC 1918, 6598, 4193). Written out: `is_private` differs between Pythons."""


@lru_cache(maxsize=4096)
def address_block(peer: str) -> tuple[str, bool]:
    """The block that an IP address is counted under, and whether it is one of LOCAL."""
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer, True  # a Unix socket
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    prefix = 24 if address.version == 4 else 64
    block = ipaddress.ip_network((address, prefix), strict=False)
    return str(block), any(address in network for network in LOCAL)


class Levels:
    """Leaky counters of one Budget."""

    __slots__ = ("_budget", "_levels")

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self._levels: Recent[str, tuple[float, float]] = Recent(size, budget.burst * budget.refill)

    def level(self, key: str, now: float) -> float:
        """How many wrong passwords are not yet forgiven."""
        level, at = self._levels.get(key, now) or (0.0, now)
        return max(0.0, level - max(0.0, now - at) / self._budget.refill)

    def add(self, key: str, now: float) -> None:
        """One wrong password more. The level never rises above the burst, so the wait is never longer than a refill."""
        self._levels.put(key, (min(self.level(key, now) + 1, float(self._budget.burst)), now), now)

    def wait(self, key: str, now: float) -> float:
        """Seconds until another attempt is allowed; 0 when it is allowed now."""
        return max(0.0, (self.level(key, now) + 1 - self._budget.burst) * self._budget.refill)

    def forget(self, key: str) -> None:
        """Forgive everything."""
        self._levels.forget(key)

    def clear(self) -> None:
        """Forgive everybody."""
        self._levels.clear()


class Throttle:
    """The tables. `name` is the normalised name that the client gave; `now` a clock that only moves forward, seconds."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._blocks = Levels(policy.block, policy.remembered)
        self._accounts = Levels(policy.account, policy.remembered)
        self._pairs = Levels(policy.familiar, policy.remembered)
        self._familiar: Recent[str, bool] = Recent(policy.remembered, policy.familiar_for)

    def is_familiar(self, peer: str, name: str, now: float) -> bool:
        """Whether this account logged in well from this address block lately."""
        return self._familiar.get(_pair(peer, name), now) is not None

    def wait(self, peer: str, name: str, now: float) -> float:
        """Seconds for which this attempt is refused; 0 when it may go on."""
        block, local = address_block(peer)
        if local:
            return 0.0
        if self.is_familiar(peer, name, now):
            return self._pairs.wait(_pair(peer, name), now)
        return max(self._blocks.wait(block, now), self._accounts.wait(name, now))

    def failed(self, peer: str, name: str, now: float) -> None:
        """A wrong password, one that was not counted before."""
        block, _ = address_block(peer)
        self._blocks.add(block, now)
        self._pairs.add(_pair(peer, name), now)
        if not self.is_familiar(peer, name, now):
            self._accounts.add(name, now)

    def succeeded(self, peer: str, name: str, now: float) -> None:
        """A good login: from now on this block is familiar. It forgives nothing, or a guesser's own account would."""
        self._familiar.put(_pair(peer, name), True, now)  # noqa: FBT003

    def delay(self, peer: str, name: str, now: float) -> float:
        """How late to answer a wrong password, seconds."""
        policy = self._policy
        block, local = address_block(peer)
        longest = policy.local_delay if local else policy.longest_delay
        level = self._pairs.level(_pair(peer, name), now)
        if not local:
            level = max(level, self._blocks.level(block, now))
        return float(min(longest, policy.first_delay * 2 ** max(0.0, min(level, 32.0) - 1)))

    def forgive(self, peer: str | None = None, name: str | None = None) -> None:
        """An administrator forgives an address's block, an account, both as a pair, or (nothing given) everybody."""
        if peer is None and name is None:
            for levels in (self._blocks, self._accounts, self._pairs):
                levels.clear()
        if peer is not None:
            self._blocks.forget(address_block(peer)[0])
            if name is not None:
                self._pairs.forget(_pair(peer, name))
        if name is not None:
            self._accounts.forget(name)


def _pair(peer: str, name: str) -> str:
    return f"{address_block(peer)[0]} {name}"
