"""What administrators' commands need of a home of the store that lies on a disk; a home may lack it."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Progress = Callable[[int, int], None]
"""How far long work is: done and all, of whatever takes the time."""


class Check(Protocol):
    """What `pillarbox fsck` needs of a home that has files."""

    def problems(self, *, repair: bool, progress: Progress | None = None) -> AsyncIterator[str]: ...


@dataclass(frozen=True, slots=True)
class Indexed:
    """How far the full-text index is with one account: of its messages so many still wait to be put into it, and so many are
    never in it as a whole (too long, unreadable). Searches read both kinds."""

    account: int
    messages: int
    waiting: int
    apart: int


class SearchIndex(Protocol):
    """What `pillarbox index` needs of a home that has a full-text index."""

    async def status(self) -> Sequence[Indexed]:
        """One for each account. Raises StoreError."""

    async def octets(self) -> int:
        """What the index takes on the disk."""

    async def rebuild(self, account: int | None = None) -> None:
        """Begin to make the index of one account's messages anew, or all of it; it goes on in the background, and after a
        restart. Raises StoreError."""

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Index everything that there is now, without a pause. Raises StoreError."""
