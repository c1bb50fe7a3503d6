"""The queue runner: takes what is due, has it tried, records what came of it. Runs until it is cancelled.

Never loses a message: outcomes are in the store before the next step depends on them, and a crash between a server's
250 and our record means that the message is sent once more (at least once). One bad message cannot stop the others.
"""

import asyncio
import math
import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pillarbox.mailauth.dns import Mx, Resolver
from pillarbox.queue.attempt import Sender
from pillarbox.queue.bounce import Bounces, Locate, plain_locate
from pillarbox.queue.gate import Gate
from pillarbox.queue.policy import Policy
from pillarbox.queue.round import Round, Tools
from pillarbox.queue.routing import Order
from pillarbox.store.api import Store, StoreError
from pillarbox.store.changes import Change, QueueChanged
from pillarbox.wire.engine import Emit

LONGEST_SLEEP = 60.0
"""Seconds after which the runner looks again anyway: a clock that was set back must not stop the mail."""


SHORTEST_SLEEP = 0.05
"""Seconds between two looks at the queue, but for new mail, which is looked at once."""

CLOCK_TOLERANCE = 60.0
"""Seconds by which a clock may be set back without notice: slewing and leap seconds."""


def _shuffled(servers: list[Mx]) -> list[Mx]:
    return random.sample(servers, len(servers))


def _silent(_event: str, /, **_facts: Any) -> None:
    """Nobody listens."""


class QueueRunner:
    """One for each store. `clock` gives epoch seconds, `chance` a number from 0 to 1, `new_id` letters and digits."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        resolver: Resolver,
        policy: Policy,
        *,
        locate: Locate | None = None,
        emit: Emit = _silent,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        shuffle: Order = _shuffled,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._emit = emit
        self._ahead = -math.inf  # of the clock against the loop's, which nobody sets
        self._changed = asyncio.Event()
        self._nudge: asyncio.TimerHandle | None = None
        self._running: dict[asyncio.Task[None], str] = {}
        self._tools = Tools(
            store=store,
            sender=sender,
            resolver=resolver,
            policy=policy,
            bounces=Bounces(store, policy, locate or plain_locate(store), new_id),
            emit=emit,
            clock=clock,
            chance=chance,
            shuffle=shuffle,
            gate=Gate(policy.concurrency, policy.per_destination),
        )

    async def run(self) -> None:
        """Work until cancelled; then running attempts get a moment to finish."""
        stop_watching = self._store.changes.watch(0, self._on_change)
        try:
            while True:
                self._changed.clear()
                try:
                    await self.start_due()
                    await self._wait()
                except StoreError as error:
                    self._emit("queue_unreadable", reason=str(error))
                    await asyncio.sleep(self._policy.store_retry)
                except Exception as error:  # a bug here must not stop all mail
                    self._emit("relay_broken", error=f"{type(error).__name__}: {error}")
                    await asyncio.sleep(self._policy.store_retry)
        finally:
            stop_watching()
            await self._finish()

    async def start_due(self) -> int:
        """Begin whatever is due now; returns how many messages that was. Raises StoreError."""
        room = self._policy.entries - len(self._running)
        if room <= 0:
            return 0
        entries = await self._store.queue.due(self._clock(), room)
        for entry in entries:
            task = asyncio.create_task(Round(self._tools, entry).run(), name=f"relay {entry.id}")
            self._running[task] = entry.id
            task.add_done_callback(self._on_done)
        return len(entries)

    async def settle(self) -> None:
        """Wait until everything that was begun is finished."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        queue_id = self._running.pop(task)
        # There is room again, and perhaps a new time to wake at. Under load hundreds finish in a second: one look for all.
        if self._nudge is None:
            self._nudge = asyncio.get_running_loop().call_later(SHORTEST_SLEEP, self._wake)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._emit("relay_broken", queue_id=queue_id, error=f"{type(error).__name__}: {error}")

    def _wake(self) -> None:
        self._nudge = None
        self._changed.set()

    def _on_change(self, change: Change) -> None:
        if isinstance(change, QueueChanged):
            self._changed.set()

    async def _wait(self) -> None:
        """Until something changed or is due."""
        due = await self._store.queue.next_due()
        if self._was_ahead(due):
            self._emit("clock_set_back", recipients=await self._store.queue.retry(None, self._clock()))
            return
        sleep = LONGEST_SLEEP if due is None else min(max(due - self._clock(), SHORTEST_SLEEP), LONGEST_SLEEP)
        with suppress(TimeoutError):
            async with asyncio.timeout(sleep):
                await self._changed.wait()

    def _was_ahead(self, due: float | None) -> bool:
        """Whether the clock was set back, now or while we did not run: what the wrong one put off would wait for days."""
        now = self._clock()
        before, self._ahead = self._ahead, now - asyncio.get_running_loop().time()
        schedule = self._policy.schedule
        latest = now + schedule.longest * (1 + schedule.jitter) + CLOCK_TOLERANCE
        return self._ahead < before - CLOCK_TOLERANCE or (due is not None and due > latest)

    async def _finish(self) -> None:
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=self._policy.grace)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running))
