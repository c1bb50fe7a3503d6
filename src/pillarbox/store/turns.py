"""Turns: how accounts share what a process can read and compute. Long work is done in slices; each slice is a turn.

Accounts take turns one after the other, however many connections each has; those of one account stand in line. So a storm of
searches by one account takes half of the process at most as soon as another one wants something.
"""

import asyncio
from collections import OrderedDict, deque

AT_ONCE = 2
"""Slices at a time: while one waits for the disk, another one computes. The event loop is late by so many slices at most."""


class Turns:
    """`of(account)` is entered for each slice: `async with turns.of(account): ...`. One account has one slice at a time."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._running: set[int] = set()
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()  # whose turn it is next, first

    def of(self, account: int) -> "Turn":
        """A slice of this account's work."""
        return Turn(self, account)

    @property
    def waiting(self) -> int:
        """Slices that wait."""
        return sum(map(len, self._waiting.values()))

    async def take(self, account: int) -> None:
        """Wait for the account's turn."""
        if account not in self._running and len(self._running) < self._at_once:
            self._running.add(account)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give_back(account)
            raise

    def give_back(self, account: int) -> None:
        """The slice is done."""
        self._running.discard(account)
        for other in list(self._waiting):
            if len(self._running) >= self._at_once:
                break
            if other not in self._running:
                self._grant(other)

    def _grant(self, account: int) -> None:
        line = self._waiting.pop(account)
        while line:
            granted = line.popleft()
            if not granted.done():  # else its caller has gone
                granted.set_result(None)
                self._running.add(account)
                break
        if line:
            self._waiting[account] = line  # behind all others


class Turn:
    """One slice, as an asynchronous context."""

    __slots__ = ("_account", "_turns")

    def __init__(self, turns: Turns, account: int) -> None:
        self._turns = turns
        self._account = account

    async def __aenter__(self) -> None:
        await self._turns.take(self._account)

    async def __aexit__(self, *_: object) -> None:
        self._turns.give_back(self._account)
