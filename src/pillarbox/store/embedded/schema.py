"""The index's schema, numbered, and how a connection to it is opened. Version N+1 comes with the step from N; the
steps run in one transaction, after a copy was made. `PRAGMA user_version` says which one a file has."""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from pillarbox.store.api import StoreError, StoreUnavailable

INDEX_FILE = "index.sqlite"

STEPS = [
    """
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

    CREATE TABLE domains (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, address TEXT NOT NULL, disabled INTEGER NOT NULL,
        quota INTEGER NOT NULL, created INTEGER NOT NULL, argon2 TEXT NOT NULL, scram_salt BLOB NOT NULL,
        scram_iterations INTEGER NOT NULL, scram_stored_key BLOB NOT NULL, scram_server_key BLOB NOT NULL,
        modseq INTEGER NOT NULL);
    CREATE TABLE aliases (key TEXT PRIMARY KEY, address TEXT NOT NULL, targets TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE mailboxes (
        id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, special_use TEXT NOT NULL,
        object_id TEXT NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL,
        recent INTEGER NOT NULL, messages INTEGER NOT NULL, octets INTEGER NOT NULL);
    CREATE INDEX mailboxes_by_account ON mailboxes (account);
    CREATE TABLE subscriptions (account INTEGER, name TEXT, PRIMARY KEY (account, name)) WITHOUT ROWID;

    -- What never changes of a message. It exists for clients as long as its mailbox's state holds its uid; a row stays
    -- behind until the sweeper takes it. `modseq` and `flags` are those it came with.
    CREATE TABLE messages (
        mailbox INTEGER, uid INTEGER, blob INTEGER NOT NULL, modseq INTEGER NOT NULL, size INTEGER NOT NULL,
        internaldate INTEGER NOT NULL, savedate INTEGER NOT NULL, email_id TEXT NOT NULL, thread_id TEXT NOT NULL,
        trace_id TEXT NOT NULL, filed_by_server INTEGER NOT NULL, message_id_hash INTEGER, flags TEXT NOT NULL,
        PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
    CREATE INDEX messages_by_blob ON messages (blob);
    CREATE INDEX messages_by_message_id ON messages (mailbox, message_id_hash) WHERE message_id_hash IS NOT NULL;

    -- A mailbox's state: packed arrays as of `modseq`, then the messages from `uidnext` on, then the rows of
    -- `changes` and `expunges` with a greater modseq.
    CREATE TABLE states (
        mailbox INTEGER PRIMARY KEY, modseq INTEGER NOT NULL, uidnext INTEGER NOT NULL, flag_sets TEXT NOT NULL,
        arrays BLOB NOT NULL);
    CREATE TABLE changes (
        mailbox INTEGER, modseq INTEGER, runs BLOB NOT NULL, PRIMARY KEY (mailbox, modseq)) WITHOUT ROWID;
    -- Tombstones: which uids went when and by which session. `swept`: their rows in `messages` are gone too.
    CREATE TABLE expunges (
        mailbox INTEGER, modseq INTEGER, at INTEGER NOT NULL, session TEXT, uids BLOB NOT NULL,
        swept INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (mailbox, modseq)) WITHOUT ROWID;
    CREATE INDEX expunges_to_sweep ON expunges (mailbox) WHERE swept = 0;
    CREATE TABLE deleted_mailboxes (mailbox INTEGER PRIMARY KEY);

    CREATE TABLE blobs (
        id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL,
        crc INTEGER NOT NULL, summary BLOB NOT NULL);
    CREATE INDEX blobs_by_segment ON blobs (segment, offset);
    -- Blobs that lost a reference: the sweeper looks whether it was the last one.
    CREATE TABLE released (blob INTEGER PRIMARY KEY);
    CREATE TABLE segments (id INTEGER PRIMARY KEY, live INTEGER NOT NULL);

    CREATE TABLE queue (
        id TEXT PRIMARY KEY, blob INTEGER NOT NULL, reverse_path TEXT NOT NULL, account INTEGER NOT NULL,
        created REAL NOT NULL, size INTEGER NOT NULL, parameters TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX queue_by_blob ON queue (blob);
    CREATE TABLE queue_recipients (
        entry TEXT, id INTEGER, address TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        next_attempt REAL NOT NULL, last_reply TEXT NOT NULL, delay_notified INTEGER NOT NULL, parameters TEXT NOT NULL,
        PRIMARY KEY (entry, id)) WITHOUT ROWID;
    CREATE INDEX queue_due ON queue_recipients (next_attempt, entry) WHERE state = 'queued';
    """,
]

VERSION = len(STEPS)

_PAGE = 8192  # measured: a fifth less CPU than 4096 for reads of summaries and for commits; 16384 gains nothing more
_CACHE_KIB = 16 * 1024  # per connection; the operating system's page cache holds the rest
_CHECKPOINT_PAGES = 2000  # 16 MiB of write-ahead log: fewer, longer checkpoints, off the event loop


def connect(directory: Path, *, writer: bool) -> apsw.Connection:
    """A connection to the index in a data directory; only one is the writer's. Raises apsw.Error."""
    connection = apsw.Connection(str(directory / INDEX_FILE))
    connection.set_busy_timeout(5000)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if writer:
        connection.execute(f"PRAGMA page_size = {_PAGE}")  # takes effect in a new index only
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    else:
        connection.execute("PRAGMA query_only = 1")
    return connection


def prepare(connection: apsw.Connection, directory: Path) -> None:
    """Bring the index to this version's schema: a copy of the old one is kept beside it, all steps are one transaction,
    and the outcome is checked before it is committed. Raises StoreError when a newer Pillarbox wrote it, or when the
    migration failed; then nothing was changed."""
    version = int(connection.pragma("user_version"))
    if version > VERSION:
        raise StoreError(
            f"the store was written by a newer Pillarbox (schema {version}, this one knows {VERSION}): "
            "run that version, or restore a backup"
        )
    if version == VERSION:
        return
    if version == 0:
        _migrate(connection, version)
        return
    kept = _keep(connection, directory, version)
    try:
        _migrate(connection, version)
    except apsw.Error as error:
        raise StoreError(
            f"the index could not be migrated from schema {version} to {VERSION} ({error}). Nothing was changed; "
            f"a copy is in {kept}. Run the version that wrote it, and report this"
        ) from error


def _keep(connection: apsw.Connection, directory: Path, version: int) -> Path:
    """A copy of the index beside it, durable."""
    kept = directory / f"{INDEX_FILE}.schema-{version}"
    kept.unlink(missing_ok=True)  # of an attempt that failed
    file = os.open(kept, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        connection.execute("VACUUM INTO ?", (str(kept),))
        os.fsync(file)
    finally:
        os.close(file)
    return kept


def _migrate(connection: apsw.Connection, version: int) -> None:
    with connection:
        for step in STEPS[version:]:
            connection.execute(step)
        found = connection.pragma("integrity_check" if version else "quick_check")
        if found != "ok":
            raise apsw.CorruptError(f"the outcome is damaged: {found}")
        connection.pragma("user_version", VERSION)


def query(connection: apsw.Connection, sql: str, values: Sequence[object] = ()) -> list[Any]:
    """Every row that a query gives; the schema says of what types. Raises StoreUnavailable."""
    try:
        return connection.execute(sql, values).fetchall()
    except apsw.Error as error:
        raise StoreUnavailable(f"the store's index cannot be read now ({error}): try again later") from error
    except UnicodeDecodeError as error:
        raise StoreUnavailable(DAMAGED.format("the store's index", error)) from error


def json_list(numbers: Sequence[int]) -> str:
    """Numbers as json_each() reads them."""
    return _json.encode(numbers).decode()


_json = msgspec.json.Encoder()

UNDECODABLE = (
    ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError, struct.error, msgspec.MsgspecError,
)  # fmt: skip
"""What values that are not what was written raise where they are decoded."""

DAMAGED = "{} is damaged ({}): run `pillarbox fsck`"


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """A block that only reads rows and decodes them: whatever a damaged one makes of it is StoreUnavailable."""
    try:
        yield
    except apsw.Error as error:
        raise StoreUnavailable(f"{what} cannot be read now ({error}): try again later") from error
    except UNDECODABLE as error:
        raise StoreUnavailable(DAMAGED.format(what, error)) from error
