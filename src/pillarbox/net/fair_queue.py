"""Fair queueing: of one account's connections only one at a time gets a slice of the event loop, in order of arrival.

Whoever has much to do gives way between slices of some milliseconds. Without this, fifty searches of one account would make
everybody else wait for fifty slices; with it, for one. Before login the address block stands in place of the account.

Security: whoever logged in, or just connected, decides how much is asked for and on how many connections.
"""

import asyncio
from collections import deque
from collections.abc import Callable

LARGE_READ = 32 * 1024
"""Octets read at once that count as much: a message of usual size is below, an attachment above."""

LARGE_READS = "large reads"
"""The line of all connections that send much: each step of the loop takes one such read, of a quarter of a megabyte at most."""

SLICE = 0.001
"""Seconds of work at a stretch that count as a turn: what most commands take a tenth of."""


class FairQueue:
    """Lines of those who wait for their turn, by account or address block (`whose`)."""

    __slots__ = ("_lines", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: dict[str, deque[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def busy(self, whose: str) -> bool:
        """Whether others of the same stand in line: then a new command stands in line too."""
        return whose in self._lines

    def had(self, whose: str) -> None:
        """They had a turn just now, without asking: others of the same stand in line until everybody else did one step."""
        if whose not in self._lines:
            self._lines[whose] = deque()
            self._loop.call_soon(self._next, whose)

    async def take(self, whose: str) -> None:
        """Let everybody else do one step, and those of the same who came before."""
        turn = self._loop.create_future()

        def come() -> None:
            if not turn.done():  # its command was not stopped meanwhile
                turn.set_result(None)

        self.stand(whose, come)
        await turn

    def stand(self, whose: str, come: Callable[[], None]) -> None:
        """Stand in line; `come` is called when it is one's turn."""
        self.had(whose)
        self._lines[whose].append(come)

    def _next(self, whose: str) -> None:
        """One step of the loop has passed: the next in line."""
        line = self._lines[whose]
        if line:
            line.popleft()()
            self._loop.call_soon(self._next, whose)  # after what that called for
        else:
            del self._lines[whose]
