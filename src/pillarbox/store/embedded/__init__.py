"""The default home of the store: an index in SQLite, octets in append-only segments, one writer that commits in groups."""

from pillarbox.store.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
