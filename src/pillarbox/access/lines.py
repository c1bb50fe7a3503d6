"""Lines: who may go on at once, who waits, and who is sent away because too many wait already."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class LineTooLong(Exception):
    """Too many wait already."""


class _Line:
    __slots__ = ("inside", "semaphore")

    def __init__(self, width: int) -> None:
        self.inside = 0  # those who wait included
        self.semaphore = asyncio.Semaphore(width)


class Lines:
    """One line for each key: `width` at a time, in order of arrival, at most `longest` inside and waiting together."""

    __slots__ = ("_lines", "_longest", "_width")

    def __init__(self, width: int, longest: int) -> None:
        self._width = width
        self._longest = longest
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @contextmanager
    def join(self, key: str) -> Iterator[asyncio.Semaphore]:
        """Stand in a line; acquire the semaphore for the turn. Raises LineTooLong."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(self._width)
        if line.inside >= self._longest:
            raise LineTooLong
        line.inside += 1
        try:
            yield line.semaphore
        finally:
            line.inside -= 1
            if not line.inside:
                del self._lines[key]
