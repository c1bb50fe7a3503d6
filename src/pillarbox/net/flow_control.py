"""The way out of one connection: whether there is room, who waits for it, and whether the peer takes anything at all.

Security: strangers decide how fast they read. What waits for them is bounded, and one that takes nothing is let go.
"""

import asyncio
import sys

WRITE_HIGH = 256 * 1024
"""Octets the transport may hold before commands wait: a round trip's worth on a fast line, and bounded for a slow one."""

WRITE_LOW = 64 * 1024
"""Octets at which they go on."""

JOIN_BELOW = 64 * 1024
"""Octets up to which chunks are joined before writing: below, a copy is cheaper than a vector."""

_MISCOUNTS = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)
"""There asyncio's own `writelines` never says that it holds too much (CVE-2024-12254), and memory would not be bounded."""


def send(transport: asyncio.Transport, chunks: list[bytes], size: int) -> None:
    """Hand chunks (`size` octets or a little more) to the transport, as one write."""
    if len(chunks) == 1:
        transport.write(chunks[0])
    elif size <= JOIN_BELOW or _MISCOUNTS:
        transport.write(b"".join(chunks))
    else:
        transport.writelines(chunks)


class FlowControl:
    """State of the outgoing side. `full` is set between the transport's pause_writing and resume_writing."""

    __slots__ = ("_pending", "_since", "_waiter", "full", "lost")

    def __init__(self) -> None:
        self.full = False
        self.lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._pending = 0
        self._since = 0.0

    def pause(self) -> None:
        """The transport holds more than WRITE_HIGH."""
        self.full = True

    def resume(self) -> None:
        """The transport has room again."""
        self.full = False
        self._wake()

    def lose(self) -> None:
        """The peer is gone: whoever waits is told."""
        self.lost = True
        self.full = False
        self._wake()

    async def room(self) -> None:
        """Wait until there is room. Raises ConnectionResetError when the peer is gone. One waiter at a time."""
        while self.full:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.lost:
            raise ConnectionResetError("the peer is gone")

    def stalled(self, now: float, pending: int, limit: float) -> bool:
        """Whether the peer took nothing for `limit` seconds. Call it now and then with what the transport holds."""
        if pending == 0 or pending != self._pending:
            self._pending, self._since = pending, now
            return False
        return now - self._since >= limit

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def gone() -> None:
    """In the place of `FlowControl.room` when the connection is no more."""
    raise ConnectionResetError("the connection is closed")


def nobody(*_: object, **_facts: object) -> None:
    """In the place of a bell or an ear of a connection that is no more."""
