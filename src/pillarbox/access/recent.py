"""Recent: a table of bounded size and age. The least recently used entry is dropped first."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Remembers at most `size` values, each for `lifetime` seconds since it was last put. The caller brings the time."""

    __slots__ = ("_entries", "lifetime", "size")

    def __init__(self, size: int, lifetime: float) -> None:
        self.size = size
        self.lifetime = lifetime
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """The value, or None when it is unknown or too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now - entry[0] > self.lifetime:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: K, value: V, now: float) -> None:
        """Remember a value from now on."""
        entries = self._entries
        entries[key] = (now, value)
        entries.move_to_end(key)
        if len(entries) > self.size:
            entries.popitem(last=False)

    def entries(self) -> Iterator[tuple[K, tuple[float, V]]]:
        """Key, and when it was put with which value, those that are too old included, in the order in which they go."""
        return iter(self._entries.items())

    def forget(self, key: K) -> None:
        """Drop one entry, if it is there."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
