"""The full-text index: which messages hold a needle. By the trigrams of their words (SQLite FTS5, contentless) it names all
that may; by the words themselves it decides, where the needle has no white space.

It is derived data in a file of its own, so that nothing here ever holds up a commit: lost or damaged, it is made again.
What it names and cannot decide on is read by whoever asks. What is put into it is described in `words`.

Blobs up to `mark` are in it; above it, and those in `partial`, count as holding everything. Blob ids are never given again
while a process runs; entries above the last id that it found when it started are dropped then. `again` lists blobs up to the
mark that are still to be put into it, anew or at all; they are in `partial` too.
`origin` is the main index's file (its inode): for another one, restored or rebuilt, all is made again, since what had
been taken out may be back.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec

from pillarbox.store.api import Held
from pillarbox.store.embedded.schema import INDEX_FILE, json_list
from pillarbox.store.embedded.words import Words, exchanged

TEXT_FILE = "text.sqlite"
_FILES = tuple(TEXT_FILE + suffix for suffix in ("", "-wal", "-shm"))

MIN_NEEDLE = 3
"""Characters: a trigram."""

DAMAGE = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.SQLError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.FormatError,
)
"""Errors that say that the file is not what was written; all others are the disk's or the machine's trouble."""

_MAX_TERMS = 16  # trigrams of a long needle that are looked up: more exclude hardly any message

_HASH_SIZE = 16 * 1024 * 1024  # octets that FTS5 collects before it writes: all of a step
_MERGED = (
    8  # runs of entries that become one: half as many times that each entry is written again as with the usual four
)

_VERSION = 3
_SCHEMA = f"""
    CREATE VIRTUAL TABLE texts USING fts5(
        text, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1');
    INSERT INTO texts (texts, rank) VALUES ('hashsize', {_HASH_SIZE});
    INSERT INTO texts (texts, rank) VALUES ('automerge', {_MERGED});
    CREATE TABLE words (blob INTEGER PRIMARY KEY, header BLOB NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE TABLE partial (blob INTEGER PRIMARY KEY);
    CREATE TABLE progress (mark INTEGER NOT NULL, origin INTEGER NOT NULL);
"""
_KEYS = {"texts": "rowid", "words": "blob", "partial": "blob", "again": "blob"}

_json = msgspec.json.Encoder()


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
    os.close(os.open(directory / TEXT_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = connect(directory, writer=True)
    try:
        with transaction(connection):
            origin = (directory / INDEX_FILE).stat().st_ino
            known = connection.pragma("user_version") == _VERSION
            if not known or connection.execute("SELECT origin FROM progress").get != origin:
                for table in (*_KEYS, "progress"):
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
                connection.execute(_SCHEMA)
                connection.execute("INSERT INTO progress VALUES (0, ?)", (origin,))
                connection.pragma("user_version", _VERSION)
            connection.execute("CREATE TABLE IF NOT EXISTS again (blob INTEGER PRIMARY KEY)")
            if mark(connection) > last_blob:
                for table, key in _KEYS.items():
                    connection.execute(f"DELETE FROM {table} WHERE {key} > ?", (last_blob,))
                connection.execute("UPDATE progress SET mark = ?", (last_blob,))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing. Raises apsw.Error."""
    # Not apsw's own `with connection`: it keeps the interpreter's lock while it commits, which is when FTS5 merges. The event
    # loop stood still for up to three seconds.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def drop(directory: Path) -> None:
    """Remove the index; nobody may have it open. Raises OSError."""
    for name in reversed(_FILES):  # a write-ahead log never lies beside an index that is not its own
        (directory / name).unlink(missing_ok=True)


def octets(directory: Path) -> int:
    """What the index takes on the disk."""
    return sum(path.stat().st_size for name in _FILES if (path := directory / name).exists())


def mark(connection: apsw.Connection) -> int:
    """Up to which blob the index goes."""
    return int(connection.execute("SELECT mark FROM progress").get or 0)


def add(
    connection: apsw.Connection, texts: Sequence[Words], unread: Iterable[int], missing: Iterable[int], new_mark: int
) -> None:
    """One step forward, wholly or not at all. `unread`: blobs up to the new mark that are to be read whenever they are
    searched. `missing`: those that may still come. Raises apsw.Error."""
    with transaction(connection):
        _insert(connection, texts)
        for blobs, table in ((unread, "partial"), (missing, "partial"), (missing, "again")):
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((blob,) for blob in blobs))
        connection.execute("UPDATE progress SET mark = ?", (new_mark,))


def replace(connection: apsw.Connection, texts: Sequence[Words], unread: Sequence[int], gone: Sequence[int]) -> None:
    """Blobs of the list `again` are done, wholly or not at all: these texts are theirs now, `unread` are to be read whenever
    they are searched, `gone` are not there. Raises apsw.Error."""
    with transaction(connection):
        _take_out(connection, (*(text.blob for text in texts), *unread, *gone))
        _insert(connection, texts)
        connection.executemany("INSERT INTO partial VALUES (?)", ((blob,) for blob in unread))


def _insert(connection: apsw.Connection, texts: Sequence[Words]) -> None:
    """One statement for all of them: SQLite then never asks for the interpreter's lock, which others need meanwhile."""
    _lay(connection, _INSERT_ENTRY, [(text.blob, text.entry) for text in texts])
    _lay(connection, _INSERT_WORDS, [(text.blob, text.header, text.body) for text in texts if text.is_whole])
    partial = [text.blob for text in texts if not text.is_whole]
    connection.executemany("INSERT OR IGNORE INTO partial VALUES (?)", ((blob,) for blob in partial))


_INSERT_ENTRY = """
    INSERT INTO texts (rowid, text)
    SELECT value ->> 0, CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT) FROM json_each(?1)
"""
_INSERT_WORDS = """
    INSERT INTO words
    SELECT value ->> 0, substr(?2, value ->> 1, value ->> 2), substr(?2, value ->> 3, value ->> 4) FROM json_each(?1)
"""


def _lay(connection: apsw.Connection, statement: str, rows: Iterable[tuple[int, *tuple[bytes, ...]]]) -> None:
    """A statement's rows, as one run of octets and where in it each value is: they need not be quoted."""
    octets = [b" "]  # of no octets at all, SQLite makes NULL
    places: list[list[int]] = []
    at = 1 + len(octets[0])
    for blob, *values in rows:
        place = [blob]
        for value in values:
            place += (at, len(value))
            at += len(value)
        octets += values
        places.append(place)
    connection.execute(statement, (_json.encode(places).decode(), b"".join(octets)))


def remove(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    """These blobs are gone. Raises apsw.Error."""
    with transaction(connection):
        _take_out(connection, blobs)


def _take_out(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    for table, key in _KEYS.items():
        connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", ((blob,) for blob in blobs))


def redo(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    """Put these blobs into the list `again`, as far as the index knows them. Raises apsw.Error."""
    with transaction(connection):
        for table in ("partial", "again"):
            connection.execute(
                f"INSERT OR IGNORE INTO {table} SELECT value FROM json_each(?) WHERE value <= (SELECT mark FROM progress)",
                (json_list(blobs),),
            )


def listed(connection: apsw.Connection, after: int, limit: int) -> list[int]:
    """The next blobs of the list `again`. Raises apsw.Error."""
    rows = connection.execute("SELECT blob FROM again WHERE blob > ? ORDER BY blob LIMIT ?", (after, limit))
    return [blob for (blob,) in rows]


def list_length(connection: apsw.Connection) -> int:
    """How long the list `again` is. Raises apsw.Error."""
    return int(connection.execute("SELECT count(*) FROM again").get or 0)


def _is_nowhere(needle: str) -> bool:
    """Whether it has what is exchanged before the index gets it."""
    return "\0" in needle or any(0xD800 <= ord(character) <= 0xDFFF for character in needle)


def is_within_a_word(needle: str) -> bool:
    """Whether the words decide about a folded needle."""
    return needle.split() == [needle] and not _is_nowhere(needle)


def terms(needle: str) -> str | None:
    """A folded needle as a query; None when the index cannot help with it."""
    if len(needle) < MIN_NEEDLE or _is_nowhere(needle):
        return None
    # What has white space before it begins a word of the text, what has some behind it ends one.
    pieces = needle.split()
    if not pieces:
        return None
    if needle[0].isspace():
        pieces[0] = " " + pieces[0]
    if needle[-1].isspace():
        pieces[-1] += " "
    spaced = [" " * (i > 0) + piece + " " * (i < len(pieces) - 1) for i, piece in enumerate(pieces)]
    return query_of(exchanged(piece) for piece in spaced)


def query_of(pieces: Iterable[str]) -> str | None:
    """A query for entries that hold all of these pieces of an entry; None when it would name all."""
    trigrams = list(
        dict.fromkeys(piece[i : i + MIN_NEEDLE] for piece in pieces for i in range(len(piece) - MIN_NEEDLE + 1))
    )
    if not trigrams:
        return None
    step = max(1, len(trigrams) // _MAX_TERMS)
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in trigrams[::step][:_MAX_TERMS])


_NAMING = """
    SELECT json_group_array(uid) FROM (
        SELECT m.uid FROM texts(?1) AS t CROSS JOIN mail.messages AS m ON m.blob = t.rowid WHERE m.mailbox = ?2
        UNION SELECT m.uid FROM partial AS p CROSS JOIN mail.messages AS m ON m.blob = p.blob WHERE m.mailbox = ?2
        UNION SELECT uid FROM mail.messages WHERE blob > (SELECT mark FROM progress) AND +mailbox = ?2)
"""
# The plus: by blob, of which few are above the mark, and not by mailbox, which would read all of it for each search.
# One row: each that is handed over asks for the interpreter's lock.


def naming(connection: apsw.Connection, mailbox: int, query: str) -> list[int]:
    """UIDs of a mailbox, ascending, that may hold what `terms` gave the query for. Raises apsw.Error."""
    return sorted(_uids(connection.execute(_NAMING, (query, mailbox)).get))


_HOLDING = """
    WITH looked AS MATERIALIZED (
        SELECT u.value AS uid, CASE
            WHEN EXISTS (SELECT 1 FROM partial WHERE blob = m.blob) THEN NULL
            ELSE instr(w.body, ?3) OR (?4 AND instr(w.header, ?3)) END AS held
        FROM json_each(?2) AS u
            LEFT JOIN mail.messages AS m ON m.mailbox = ?1 AND m.uid = u.value
            LEFT JOIN words AS w ON w.blob = m.blob)
    SELECT json_group_array(uid) FILTER (WHERE held), json_group_array(uid) FILTER (WHERE held IS NULL) FROM looked
"""


def holding(connection: apsw.Connection, mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
    """Of these messages those of which a word of the body, or of the header too, holds a needle, and those of which the
    words are not known. Raises apsw.Error."""
    [row] = connection.execute(_HOLDING, (mailbox, json_list(uids), needle.encode(), header))
    return Held(_uids(row[0]), _uids(row[1]))


_uids = msgspec.json.Decoder(list[int]).decode


_BLOBS = "SELECT DISTINCT blob FROM mail.messages WHERE mailbox IN (SELECT value FROM json_each(?))"


def blobs_of(connection: apsw.Connection, mailboxes: Sequence[int]) -> list[int]:
    """The blobs of all messages in these mailboxes. Raises apsw.Error."""
    return [blob for (blob,) in connection.execute(_BLOBS, (json_list(mailboxes),))]


_COUNTS = """
    SELECT mailbox, sum(waits), sum(NOT waits) FROM (
        SELECT mailbox, 1 AS waits FROM mail.messages WHERE blob > (SELECT mark FROM progress)
        UNION ALL SELECT m.mailbox, p.blob IN (SELECT blob FROM again)
        FROM partial AS p CROSS JOIN mail.messages AS m ON m.blob = p.blob WHERE p.blob <= (SELECT mark FROM progress)
    ) GROUP BY mailbox
"""


def counts(connection: apsw.Connection) -> dict[int, tuple[int, int]]:
    """For each mailbox that has some: messages that wait to be put into the index, and those that are not in it as a whole.
    Raises apsw.Error."""
    return {mailbox: (waiting, apart) for mailbox, waiting, apart in connection.execute(_COUNTS)}
