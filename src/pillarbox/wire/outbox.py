"""Outbox: what an engine has to say, in order, until the network takes it."""

from collections.abc import Awaitable, Callable, Iterator

HIGH_WATER = 256 * 1024
"""Octets that may wait before a command that produces much has to wait for the peer (backpressure)."""

BREATH = 200
"""Calls of `drain` after which the others get their turn: some milliseconds of commands that were sent all at once."""


class _Nothing:
    """What is awaited where nothing has to be: a coroutine for it would cost three times as much."""

    __slots__ = ()

    def __await__(self) -> Iterator[None]:
        return iter(())


_NOTHING: Awaitable[None] = _Nothing()  # type: ignore[assignment]  # any iterator will do, whatever typeshed says


async def _no_network() -> None:
    """Without a connection there is nobody to wait for."""


def _no_bell() -> None:
    """Without a connection there is nobody to tell."""


class Outbox:
    """A list of chunks. Chunks are kept as they are: a large body is never copied into a line's buffer."""

    __slots__ = ("_drains", "chunks", "on_drain", "on_ring", "on_turn", "size")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self._drains = 0
        self.on_drain: Callable[[], Awaitable[None]] = _no_network
        self.on_turn: Callable[[], Awaitable[None]] = _no_network
        self.on_ring: Callable[[], None] = _no_bell

    def write(self, octets: bytes) -> None:
        """Add octets to what will be sent."""
        self.chunks.append(octets)
        self.size += len(octets)

    def take(self) -> list[bytes]:
        """Hand over everything written so far."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        return chunks

    def drain(self, steps: int = 1) -> Awaitable[None]:
        """Await it to wait until there is room again, and now and then for the other connections' turn: between commands
        and between the pieces of a long response, or after so many of them. Cheap when there is room. Raises ConnectionError
        when the peer is gone.
        """
        self._drains += steps
        if self.size < HIGH_WATER and self._drains < BREATH:
            return _NOTHING
        self._drains = 0
        return self.on_drain()

    async def give_way(self) -> None:
        """Let the others have their turn: between the slices of whatever takes more than some milliseconds. Of several
        connections of one account only one gets a slice at a time."""
        await self.on_turn()

    def ring(self) -> None:
        """Say that something was written outside of `Engine.process` (a push in IDLE) and shall go out now."""
        self.on_ring()
