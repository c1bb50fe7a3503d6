"""The store in memory: the verified fake that ships with the package, held to the same contract as the others."""

from pillarbox.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
