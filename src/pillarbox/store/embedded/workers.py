"""Workers: a few threads for what waits for the disk or takes long, each with a connection to the index while it needs one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from pillarbox.store.embedded import schema

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""Enough to keep a disk busy; more would only take turns with the event loop."""


class Workers:
    """Runs functions in threads. `close` waits for them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, "pillarbox-store")
        self._free: list[apsw.Connection] = []

    async def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call it in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*arguments, **named))

    async def read(
        self, function: Callable[Concatenate[apsw.Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Call it in a thread, with a connection of its own to read the index."""
        return await self.run(self._with_connection, lambda connection: function(connection, *arguments, **named))

    def close(self) -> None:
        """Let everything end."""
        self._threads.shutdown()
        while self._free:
            self._free.pop().close()

    def _with_connection(self, function: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = schema.connect(self._directory, writer=False)
        try:
            return function(connection)
        finally:
            self._free.append(connection)
