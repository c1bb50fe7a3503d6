"""Lines: who may go on at once, who waits, and who is sent away because too many wait already."""

import asyncio


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

    def turn(self, key: str) -> "_Turn":
        """`async with` stands in the line and waits for the turn. Raises LineTooLong."""
        return _Turn(self, key)

    def enter(self, key: str) -> _Line:
        """One more in a line. Raises LineTooLong."""
        line = self._lines.get(key) or _Line(self._width)
        if line.inside >= self._longest:
            raise LineTooLong
        self._lines[key] = line
        line.inside += 1
        return line

    def leave(self, key: str, line: _Line) -> None:
        """One less; nothing is kept of a line that nobody stands in."""
        line.inside -= 1
        if not line.inside:
            del self._lines[key]


class _Turn:
    """A class, since each login takes one: two generators that do the same cost twice as much."""

    __slots__ = ("_key", "_line", "_lines")

    def __init__(self, lines: Lines, key: str) -> None:
        self._lines = lines
        self._key = key

    async def __aenter__(self) -> None:
        self._line = self._lines.enter(self._key)
        try:
            await self._line.semaphore.acquire()
        except BaseException:
            self._lines.leave(self._key, self._line)
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._line.semaphore.release()
        self._lines.leave(self._key, self._line)
