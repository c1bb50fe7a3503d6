"""One coarse timer for all connections: a bucket per tick, and what is due in it.

A timer per connection that every octet resets would cost more than the protocols do. Here a guest has one place in the
wheel, and is asked when its bucket comes round; whoever was active meanwhile simply names a later time.
"""

import asyncio
from typing import Protocol

TICK = 1.0
"""Seconds between two looks. Mail's timeouts are minutes; a second more hurts nobody."""

LATE = 3.0
"""Ticks: a turn that is later comes after a pause of the process or of the machine. What peers sent meanwhile is still to be
read, so that nobody is asked before the next turn."""

NOWHERE = -1
"""The slot of a guest that is not in the wheel."""


class Guest(Protocol):
    """What can be in the wheel; `slot` belongs to the wheel."""

    slot: int

    def check(self, now: float) -> float | None:
        """Its time has come: do what is due. Returns seconds until the next look, or None for never."""


class TimerWheel:
    """Guests by the tick in which they want to be asked. `now` is the loop's time at the last tick: coarse, but free."""

    def __init__(self, tick: float = TICK) -> None:
        self.now = 0.0
        self._tick = tick
        self._buckets: dict[int, set[Guest]] = {}
        self._turned = 0
        self._guests = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def schedule(self, guest: Guest, delay: float) -> None:
        """Ask the guest in `delay` seconds (never earlier), instead of when it was to be asked before."""
        if self._timer is None:
            self._start()
        slot = max(self._turned + 1, int((self.now + delay) / self._tick) + 1)
        if guest.slot == slot:
            return
        self.cancel(guest)
        self._buckets.setdefault(slot, set()).add(guest)
        guest.slot = slot
        self._guests += 1

    def sooner(self, guest: Guest, delay: float) -> None:
        """Ask the guest in `delay` seconds, unless it will be asked before that anyway."""
        if guest.slot == NOWHERE or (self.now + delay) / self._tick + 1 < guest.slot:
            self.schedule(guest, delay)

    def cancel(self, guest: Guest) -> None:
        """The guest leaves; fine when it is not there."""
        if guest.slot == NOWHERE:
            return
        bucket = self._buckets.get(guest.slot)
        if bucket is not None and guest in bucket:
            bucket.discard(guest)
            if not bucket:
                del self._buckets[guest.slot]
            self._guests -= 1
        guest.slot = NOWHERE

    def stop(self) -> None:
        """No more ticks until something is scheduled again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self._turned = int(self.now / self._tick)
        self._timer = loop.call_later(self._tick, self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        before, self.now = self.now, loop.time()
        self._paused = self.now - before > LATE * self._tick and not self._paused  # once: it may be slow for long
        if self._paused:
            self._timer = loop.call_later(self._tick, self._turn)
            return
        now = self.now
        reached = int(now / self._tick)
        first, self._turned = self._turned + 1, reached
        # After a pause of the whole machine many ticks are due at once: look at what there is, not at each number.
        slots = range(first, reached + 1)
        due = slots if len(slots) <= len(self._buckets) else sorted(s for s in self._buckets if s <= reached)
        for slot in due:
            for guest in self._buckets.pop(slot, ()):
                self._guests -= 1
                if guest.slot != slot:
                    continue  # it left while this bucket was handled
                guest.slot = NOWHERE
                delay = guest.check(now)
                if delay is not None and guest.slot == NOWHERE:
                    self.schedule(guest, delay)
        self._timer = loop.call_later(self._tick, self._turn) if self._guests else None
