"""Bounds how many sessions there are at a time, in all and to one destination."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """`async with gate.to(destination)`: inside, a session may be open."""

    def __init__(self, total: int, per_destination: int) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_destination = per_destination
        self._lanes: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def to(self, destination: str) -> AsyncIterator[None]:
        """The destination's own bound comes first: whoever waits there must not keep others out."""
        lane, users = self._lanes.setdefault(destination, (asyncio.Semaphore(self._per_destination), []))
        users.append(None)
        try:
            async with lane, self._total:
                yield
        finally:
            users.pop()
            if not users:
                self._lanes.pop(destination, None)
