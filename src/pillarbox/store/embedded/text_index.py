"""The full-text index: which messages may hold a needle, by the trigrams of their text (SQLite FTS5, contentless).

It is derived data in a file of its own, so that nothing here ever holds up a commit: lost or damaged, it is made again.
It names every message whose folded text holds the needle, and some that do not; whoever asks reads those.

Blobs up to `mark` are in it; above it, and those in `partial`, count as holding everything. Blob ids are never given again
while a process runs; entries above the last id that it found when it started are dropped then.
`origin` is the main index's file (its inode): for another one, restored or rebuilt, all is made again, since what had
been taken out may be back.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw

from pillarbox.store.embedded.schema import INDEX_FILE

TEXT_FILE = "text.sqlite"

MIN_NEEDLE = 3
"""Characters: a trigram."""

_MAX_TERMS = 16  # trigrams of a long needle that are looked up: more exclude hardly any message

_VERSION = 1
_SCHEMA = """
    CREATE VIRTUAL TABLE texts USING fts5(
        text, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1');
    CREATE TABLE partial (blob INTEGER PRIMARY KEY);
    CREATE TABLE progress (mark INTEGER NOT NULL, origin INTEGER NOT NULL);
"""

Text = tuple[int, str, bool]
"""A blob, its folded text, and whether that is all of it."""


def connect(directory: Path, *, writer: bool) -> apsw.Connection:
    """A connection to the text index; a reader's sees the main index too, as `mail`. Raises apsw.Error."""
    connection = apsw.Connection(str(directory / TEXT_FILE))
    connection.set_busy_timeout(5000)
    if writer:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut loses the last entries, never order
    else:
        connection.execute("ATTACH ? AS mail", (str(directory / INDEX_FILE),))
        connection.execute("PRAGMA query_only = 1")
    return connection


def prepare(directory: Path, last_blob: int) -> apsw.Connection:
    """The writer's connection, for an index of this version that knows nothing above the last blob.
    Raises apsw.Error, OSError."""
    try:
        return _prepared(directory, last_blob)
    except apsw.Error:
        for suffix in ("", "-wal", "-shm"):
            (directory / (TEXT_FILE + suffix)).unlink(missing_ok=True)
        return _prepared(directory, last_blob)


def _prepared(directory: Path, last_blob: int) -> apsw.Connection:
    os.close(os.open(directory / TEXT_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = connect(directory, writer=True)
    try:
        with connection:
            origin = (directory / INDEX_FILE).stat().st_ino
            known = connection.pragma("user_version") == _VERSION
            if not known or connection.execute("SELECT origin FROM progress").get != origin:
                connection.execute(
                    "DROP TABLE IF EXISTS texts; DROP TABLE IF EXISTS partial; DROP TABLE IF EXISTS progress"
                )
                connection.execute(_SCHEMA)
                connection.execute("INSERT INTO progress VALUES (0, ?)", (origin,))
                connection.pragma("user_version", _VERSION)
            if mark(connection) > last_blob:
                connection.execute("DELETE FROM texts WHERE rowid > ?", (last_blob,))
                connection.execute("DELETE FROM partial WHERE blob > ?", (last_blob,))
                connection.execute("UPDATE progress SET mark = ?", (last_blob,))
    except BaseException:
        connection.close()
        raise
    return connection


def mark(connection: apsw.Connection) -> int:
    """Up to which blob the index goes."""
    return int(connection.execute("SELECT mark FROM progress").get or 0)


def add(connection: apsw.Connection, texts: Iterable[Text], unread: Iterable[int], new_mark: int) -> None:
    """One step forward, wholly or not at all. `unread`: blobs up to the new mark that are to be read whenever they are
    searched. Raises apsw.Error."""
    with connection:
        for blob, text, is_whole in texts:
            plain = text.replace("\0", " ").encode("utf-8", "replace").decode()  # NUL would end it there
            connection.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (blob, plain))
            if not is_whole:
                connection.execute("INSERT OR IGNORE INTO partial VALUES (?)", (blob,))
        connection.executemany("INSERT OR IGNORE INTO partial VALUES (?)", ((blob,) for blob in unread))
        connection.execute("UPDATE progress SET mark = ?", (new_mark,))


def remove(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    """These blobs are gone. Raises apsw.Error."""
    with connection:
        rows = [(blob,) for blob in blobs]
        connection.executemany("DELETE FROM texts WHERE rowid = ?", rows)
        connection.executemany("DELETE FROM partial WHERE blob = ?", rows)


def terms(needle: str) -> str | None:
    """A folded needle as a query; None when the index cannot help with it."""
    if len(needle) < MIN_NEEDLE or "\0" in needle or any(0xD800 <= ord(c) <= 0xDFFF for c in needle):
        return None
    trigrams = list(dict.fromkeys(needle[i : i + MIN_NEEDLE] for i in range(len(needle) - MIN_NEEDLE + 1)))
    step = max(1, len(trigrams) // _MAX_TERMS)
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in trigrams[::step][:_MAX_TERMS])


_HOLDING = """
    SELECT m.uid FROM texts(?1) AS t CROSS JOIN mail.messages AS m ON m.blob = t.rowid WHERE m.mailbox = ?2
    UNION SELECT m.uid FROM partial AS p CROSS JOIN mail.messages AS m ON m.blob = p.blob WHERE m.mailbox = ?2
    UNION SELECT uid FROM mail.messages WHERE blob > (SELECT mark FROM progress) AND mailbox = ?2
    ORDER BY 1
"""


def holding(connection: apsw.Connection, mailbox: int, query: str) -> list[int]:
    """UIDs of a mailbox, ascending, that may hold what `terms` gave the query for. Raises apsw.Error."""
    return [uid for (uid,) in connection.execute(_HOLDING, (query, mailbox))]
