"""Passwords that were sent in the clear: whoever they belong to must know, and nobody else may learn anything.

The connection refuses them unseen and goes on at once. What was typed waits in a short queue, and one worker compares it
in its own time, by the ordinary verifier. If it was the password, whoever runs `tell` warns the owner.

Security: strangers feed this. It is no oracle: nothing that a peer can see or measure depends on the outcome, and unknown
names cost the same work. It is no way around the throttle: who may not guess is not compared, a wrong one counts as a wrong
password, and it never makes a place familiar. It is bounded: a few wait, one is compared every few seconds, and each account
is looked at so many times a day.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pillarbox.access.passwords import NOBODY
from pillarbox.access.recent import Recent
from pillarbox.access.service import Access
from pillarbox.access.verifier import Overloaded
from pillarbox.sasl.api import AuthenticationUnavailable
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Account

DAY = 86400.0

WAITING = 20
"""Passwords that wait; more are dropped. They are secrets: not many of them should lie about."""

WAITING_PER_BLOCK = 2
"""Of one address block, so that nobody can push the others out."""

PACE = 5.0
"""Seconds between two comparisons: 17,280 a day at most, whoever floods us."""

PER_ACCOUNT = 4
"""Comparisons for one account a day, one for each address block: a stranger's nonsense does not use up the owner's."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A password was sent in the clear: by whom, to which of our ports, when (epoch seconds)."""

    peer: str
    port: int
    at: float


@dataclass(frozen=True, slots=True)
class _Typed:
    authcid: str
    password: Secret
    exposure: Exposure
    block: str


Tell = Callable[[Account, Exposure], Awaitable[None]]
"""Warns the owner of an account whose password was exposed. May be called once a day for an account."""


class Exposures:
    """The queue and its worker. `clock` gives epoch seconds, for people; Access has its own."""

    def __init__(
        self,
        access: Access,
        tell: Tell,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._access = access
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._waiting: asyncio.Queue[_Typed] = asyncio.Queue(WAITING)
        self._blocks: dict[str, int] = {}
        remembered = access.policy.remembered
        self._seen: Recent[str, bool] = Recent(remembered, DAY)
        self._counts: Recent[str, int] = Recent(remembered, DAY)
        self._told: Recent[int, bool] = Recent(remembered, DAY)

    def note(self, peer: str, port: int, authcid: str, password: Secret) -> None:
        """Somebody sent these. Returns at once, whatever they are."""
        block = self._access.throttle.blocks.of(peer)[0]
        if self._waiting.full() or self._blocks.get(block, 0) >= WAITING_PER_BLOCK:
            return
        self._blocks[block] = self._blocks.get(block, 0) + 1
        self._waiting.put_nowait(_Typed(authcid, password, Exposure(peer, port, self._clock()), block))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            typed = await self._waiting.get()
            self._blocks[typed.block] -= 1
            if not self._blocks[typed.block]:
                del self._blocks[typed.block]
            try:
                await self._judge(typed)
            except (AuthenticationUnavailable, Overloaded):
                pass  # those who log in come first
            del typed
            await self._sleep(PACE)

    async def _judge(self, typed: _Typed) -> None:
        access, exposure = self._access, typed.exposure
        candidate = await access.candidate(typed.authcid)
        name, now = candidate.name, access.clock()
        pair = f"{typed.block} {name}"
        count = self._counts.get(name, now) or 0
        if self._seen.get(pair, now) or count >= PER_ACCOUNT or access.throttle.wait(exposure.peer, name, now) > 0:
            return
        self._seen.put(pair, True, now)  # noqa: FBT003
        self._counts.put(name, count + 1, now)
        argon2_hash = candidate.hashes.argon2 if candidate.account and candidate.hashes else NOBODY
        fingerprint = access.verifier.fingerprint(name, argon2_hash, typed.password)
        valid = access.verifier.recall(fingerprint, now)
        if valid is None:
            valid = await access.verifier.verify(argon2_hash, typed.password, reserved=False)
            if not valid:
                access.verifier.remember(fingerprint, access.clock(), valid=False)
                access.throttle.failed(exposure.peer, name, access.clock())
        if valid and candidate.account is not None and not self._told.get(candidate.account.id, now):
            self._told.put(candidate.account.id, True, now)  # noqa: FBT003
            await self._tell(candidate.account, exposure)
