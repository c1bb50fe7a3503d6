"""What administrators' commands need of a home of the store that lies on a disk; a home may lack it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pillarbox.store.durations import Durations

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


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Messages that wait to be relayed, their octets, when the oldest came (epoch seconds), and recipients by state."""

    messages: int
    octets: int
    oldest: float | None
    recipients: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Counted:
    """What has to be counted: blobs, segments, octets of files by what they are for, room on the disk (octets that are free
    for us, all octets, files that may still be made), and the queue."""

    blobs: int
    segments: int
    octets: Mapping[str, int]
    disk_free: int
    disk_size: int
    files_free: int
    queue: QueueFigures


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How large a store is and how it fares. `commits` says how long each one took, `operations` how many there were in them,
    `compacted` how many segments were, `to_index` how many blobs the full-text index still has to look at, at most."""

    accounts: int
    mailboxes: int
    messages: int
    message_octets: int
    counted: Counted
    commits: Durations
    operations: int
    compacted: int
    to_index: int


class Figures(Protocol):
    """What metrics need of a home that lies on a disk."""

    async def take(self) -> StoreFigures:
        """The figures of now. Raises StoreError."""
