"""The default home of the store: a SQLite index and append-only segment files."""
