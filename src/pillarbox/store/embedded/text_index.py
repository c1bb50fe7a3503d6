"""The full-text index: which messages may hold a needle, by the trigrams of their text (SQLite FTS5, contentless).

It is derived data in a file of its own, so that nothing here ever holds up a commit: lost or damaged, it is made again.
It names every message whose folded text holds the needle, and some that do not; whoever asks reads those.

What is put into it is not the text but its words, each once (`entry`): a needle lies inside of words, or reaches from one
into the next, which the spaces around them show. That is half of the trigrams, and a fraction where people quote each other.
Their octets are exchanged for others, because FTS5 keeps what it collects in a table of hashes that are alike for trigrams of
ASCII (13 of them on one place for the mail of an hour, now one).

Blobs up to `mark` are in it; above it, and those in `partial`, count as holding everything. Blob ids are never given again
while a process runs; entries above the last id that it found when it started are dropped then. `again` lists blobs up to the
mark that are still to be put into it, anew or at all; they are in `partial` too.
`origin` is the main index's file (its inode): for another one, restored or rebuilt, all is made again, since what had
been taken out may be back.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec

from pillarbox.mail.search_text import folded
from pillarbox.store.embedded.schema import INDEX_FILE

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

MAX_ENTRY = 512 * 1024
"""Characters of one entry. A text has half of that at most, but folding makes eighteen letters of one (U+FDFA); what is as long
as this may have been cut."""

_MAX_TERMS = 16  # trigrams of a long needle that are looked up: more exclude hardly any message

_HASH_SIZE = 16 * 1024 * 1024  # octets that FTS5 collects before it writes: all of a step
_MERGED = (
    8  # runs of entries that become one: half as many times that each entry is written again as with the usual four
)

_VERSION = 2
_SCHEMA = f"""
    CREATE VIRTUAL TABLE texts USING fts5(
        text, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1');
    INSERT INTO texts (texts, rank) VALUES ('hashsize', {_HASH_SIZE});
    INSERT INTO texts (texts, rank) VALUES ('automerge', {_MERGED});
    CREATE TABLE partial (blob INTEGER PRIMARY KEY);
    CREATE TABLE progress (mark INTEGER NOT NULL, origin INTEGER NOT NULL);
"""
_TABLES = ("texts", "partial", "progress", "again")

Text = tuple[int, str, bool]
"""A blob, the entry of its text, and whether that is all of it."""

_json = msgspec.json.Encoder()

_USUAL = b"etaoinsrhldcumfpgwybvkxjqz0123456789.-/:_@=,<>()\"'+&;?!#%*"
_EXCHANGED = bytes(
    octet if octet <= 32 or octet > 126 else 0x80 + 29 * (_USUAL.find(octet) % 64) % 64 for octet in range(256)
)
_INK = re.compile(r"[!-~]+")


def entry(text: str) -> str:
    """What the index is given of a text: its words, folded, each once and in no order, a space around each."""
    text = text.replace("\0", " ")  # NUL would end it
    if text.isascii():
        return _exchanged(f" {' '.join(set(folded(text).split()))} ")
    # Folding and exchanging are dear with other letters than ASCII's, which few words of most languages have. No word is folded
    # otherwise for its neighbours: a space has no accents.
    words = set(text.split())
    plain = [word for word in words if word.isascii()]
    words.difference_update(plain)
    others = folded(" ".join(words))[:MAX_ENTRY].encode("utf-8", "replace").decode()  # half a surrogate pair
    return f" {_exchanged(folded(' '.join(plain)))} {_exchanged(others)} "


def _exchanged(text: str) -> str:
    """Each character for always the same other one: two octets of UTF-8 that differ in six bits."""
    if text.isascii():
        return text.encode().translate(_EXCHANGED).decode("latin-1")
    return _INK.sub(lambda found: _exchanged(found[0]), text)


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
                for table in _TABLES:
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
                connection.execute(_SCHEMA)
                connection.execute("INSERT INTO progress VALUES (0, ?)", (origin,))
                connection.pragma("user_version", _VERSION)
            connection.execute("CREATE TABLE IF NOT EXISTS again (blob INTEGER PRIMARY KEY)")
            if mark(connection) > last_blob:
                connection.execute("DELETE FROM texts WHERE rowid > ?", (last_blob,))
                for table in ("partial", "again"):
                    connection.execute(f"DELETE FROM {table} WHERE blob > ?", (last_blob,))
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
    connection: apsw.Connection, texts: Sequence[Text], unread: Iterable[int], missing: Iterable[int], new_mark: int
) -> None:
    """One step forward, wholly or not at all. `unread`: blobs up to the new mark that are to be read whenever they are
    searched. `missing`: those that may still come. Raises apsw.Error."""
    with transaction(connection):
        _insert(connection, texts)
        for blobs, table in ((unread, "partial"), (missing, "partial"), (missing, "again")):
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((blob,) for blob in blobs))
        connection.execute("UPDATE progress SET mark = ?", (new_mark,))


def replace(connection: apsw.Connection, texts: Sequence[Text], unread: Sequence[int], gone: Sequence[int]) -> None:
    """Blobs of the list `again` are done, wholly or not at all: these texts are theirs now, `unread` are to be read whenever
    they are searched, `gone` are not there. Raises apsw.Error."""
    with transaction(connection):
        rows = [(blob,) for blob in (*(blob for blob, *_ in texts), *unread, *gone)]
        for table, key in (("texts", "rowid"), ("partial", "blob"), ("again", "blob")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", rows)
        _insert(connection, texts)
        connection.executemany("INSERT INTO partial VALUES (?)", ((blob,) for blob in unread))


def _insert(connection: apsw.Connection, texts: Sequence[Text]) -> None:
    """One statement for all of them: SQLite then never asks for the interpreter's lock, which others need meanwhile."""
    connection.execute(_INSERT, (_json.encode([(blob, text) for blob, text, _ in texts]).decode(),))
    partial = [blob for blob, _, is_whole in texts if not is_whole]
    connection.executemany("INSERT OR IGNORE INTO partial VALUES (?)", ((blob,) for blob in partial))


_INSERT = "INSERT INTO texts (rowid, text) SELECT value ->> 0, value ->> 1 FROM json_each(?)"


def remove(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    """These blobs are gone. Raises apsw.Error."""
    with transaction(connection):
        rows = [(blob,) for blob in blobs]
        for table, key in (("texts", "rowid"), ("partial", "blob"), ("again", "blob")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", rows)


def redo(connection: apsw.Connection, blobs: Sequence[int]) -> None:
    """Put these blobs into the list `again`, as far as the index knows them. Raises apsw.Error."""
    with transaction(connection):
        for table in ("partial", "again"):
            connection.execute(
                f"INSERT OR IGNORE INTO {table} SELECT value FROM json_each(?) WHERE value <= (SELECT mark FROM progress)",
                (_json.encode(list(blobs)).decode(),),
            )


def listed(connection: apsw.Connection, after: int, limit: int) -> list[int]:
    """The next blobs of the list `again`. Raises apsw.Error."""
    rows = connection.execute("SELECT blob FROM again WHERE blob > ? ORDER BY blob LIMIT ?", (after, limit))
    return [blob for (blob,) in rows]


def list_length(connection: apsw.Connection) -> int:
    """How long the list `again` is. Raises apsw.Error."""
    return int(connection.execute("SELECT count(*) FROM again").get or 0)


def terms(needle: str) -> str | None:
    """A folded needle as a query; None when the index cannot help with it."""
    if len(needle) < MIN_NEEDLE or "\0" in needle or any(0xD800 <= ord(c) <= 0xDFFF for c in needle):
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
    return query_of(_exchanged(piece) for piece in spaced)


def query_of(pieces: Iterable[str]) -> str | None:
    """A query for entries that hold all of these pieces of an entry; None when it would name all."""
    trigrams = list(
        dict.fromkeys(piece[i : i + MIN_NEEDLE] for piece in pieces for i in range(len(piece) - MIN_NEEDLE + 1))
    )
    if not trigrams:
        return None
    step = max(1, len(trigrams) // _MAX_TERMS)
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in trigrams[::step][:_MAX_TERMS])


_HOLDING = """
    SELECT m.uid FROM texts(?1) AS t CROSS JOIN mail.messages AS m ON m.blob = t.rowid WHERE m.mailbox = ?2
    UNION SELECT m.uid FROM partial AS p CROSS JOIN mail.messages AS m ON m.blob = p.blob WHERE m.mailbox = ?2
    UNION SELECT uid FROM mail.messages WHERE blob > (SELECT mark FROM progress) AND +mailbox = ?2
    ORDER BY 1
"""
# The plus: by blob, of which few are above the mark, and not by mailbox, which would read all of it for each search.


def holding(connection: apsw.Connection, mailbox: int, query: str) -> list[int]:
    """UIDs of a mailbox, ascending, that may hold what `terms` gave the query for. Raises apsw.Error."""
    return [uid for (uid,) in connection.execute(_HOLDING, (query, mailbox))]


_NAMES = """
    SELECT EXISTS (SELECT 1 FROM texts(?2) WHERE rowid = ?1) OR EXISTS (SELECT 1 FROM partial WHERE blob = ?1)
"""


def names(connection: apsw.Connection, blob: int, query: str) -> bool:
    """Whether the index names a blob for a query. Raises apsw.Error."""
    return bool(connection.execute(_NAMES, (blob, query)).get)


_BLOBS = "SELECT DISTINCT blob FROM mail.messages WHERE mailbox IN (SELECT value FROM json_each(?))"


def blobs_of(connection: apsw.Connection, mailboxes: Sequence[int]) -> list[int]:
    """The blobs of all messages in these mailboxes. Raises apsw.Error."""
    return [blob for (blob,) in connection.execute(_BLOBS, (_json.encode(list(mailboxes)).decode(),))]


_MISSING = """
    SELECT count(*) FROM mail.messages WHERE blob <= (SELECT mark FROM progress)
        AND blob NOT IN (SELECT id FROM texts_docsize) AND blob NOT IN (SELECT blob FROM partial)
"""


def problem(connection: apsw.Connection) -> str:
    """What is wrong with the index as such, by the writer's connection; "" when nothing is. It is read wholly."""
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").get)
        with transaction(connection):
            connection.execute("INSERT INTO texts (texts, rank) VALUES ('integrity-check', 0)")
    except DAMAGE as error:
        return str(error)
    return "" if found == "ok" else found


def missing(connection: apsw.Connection) -> int:
    """How many messages it lacks that it should have. Raises apsw.Error."""
    return int(connection.execute(_MISSING).get or 0)


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
