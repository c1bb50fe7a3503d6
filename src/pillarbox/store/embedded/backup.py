"""Backup: a consistent snapshot of a data directory, taken beside a running server or without one.

The index is copied first, as of one commit; by then all octets that it refers to are in segments, and the guard keeps
those there. A segment is linked where the file system can do that, else copied once: later snapshots link to that copy.
The snapshot gets its name when it is complete and on disk; what is cut off before is removed by the next backup.

Security: files are 0600, folders 0700. A backup holds all mail and all keys: keep it as safe as the server.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw

from pillarbox import __version__
from pillarbox.store.api import Progress
from pillarbox.store.embedded import manifest, schema, segments
from pillarbox.store.embedded.guard import GUARD_FILE, keep_segments
from pillarbox.store.embedded.incoming import ALONE
from pillarbox.store.embedded.manifest import CONFIG, DATA, BackupError, File, Manifest
from pillarbox.store.embedded.place import INCOMING, LOCK_FILE, SEGMENTS, sync_folder, sync_to_root
from pillarbox.store.embedded.placements import PLACEMENTS_FILE
from pillarbox.store.embedded.text_index import TEXT_FILE

_PIECE = 1024 * 1024
_UNFINISHED = ".unfinished-"
_THROTTLE = "throttle.json"  # where people log in from (access/kept.py): too old whenever it is restored
_NOT_KEPT = {SEGMENTS, INCOMING, LOCK_FILE, GUARD_FILE}

_COUNTS = {
    "accounts": "SELECT count(*) FROM accounts",
    "mailboxes": "SELECT count(*) FROM mailboxes",
    "messages": "SELECT coalesce(sum(messages), 0) FROM mailboxes",
    "blobs": "SELECT count(*) FROM blobs",
    "queue": "SELECT count(*) FROM queue",
}


def back_up(
    data: Path,
    folder: Path,
    *,
    also: Mapping[str, Path] | None = None,
    keep: int = 0,
    progress: Progress = lambda _done, _total: None,
    clock: Callable[[], float] = time.time,
) -> Path:
    """Make a snapshot of a data directory in a backup folder; `also` are files from elsewhere, by the name they get.
    Of older snapshots all stay, or the newest ones so that there are `keep`. Returns the snapshot. `progress` is in octets.
    Raises BackupError, OSError."""
    if not (data / schema.INDEX_FILE).is_file():
        raise BackupError(f"{data} holds no store: there is no {schema.INDEX_FILE}")
    if folder.resolve().is_relative_to(data.resolve()):
        raise BackupError(f"a backup in {data} would be lost with it: choose a folder elsewhere, best on another disk")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left)
        name = manifest.new_name(folder, clock())
        under_way = folder / f"{_UNFINISHED}{name}"
        earlier = manifest.snapshots(folder)
        try:
            with keep_segments(data):
                _Snapshot(data, under_way, earlier[-1] if earlier else None, progress).make(also or {}, name)
            under_way.rename(folder / name)
        except BaseException:
            shutil.rmtree(under_way, ignore_errors=True)
            raise
        sync_to_root(folder)
        if keep > 0:
            for old in manifest.snapshots(folder)[:-keep]:
                going = old.rename(folder / f"{_UNFINISHED}{old.name}")
                sync_folder(folder)  # or a part of it would have the name of a whole one after a power cut
                shutil.rmtree(going)
    return folder / name


class _Snapshot:
    """One snapshot under way."""

    def __init__(self, data: Path, folder: Path, earlier: Path | None, progress: Progress) -> None:
        self._data = data
        self._folder = folder
        self._earlier = earlier
        self._progress = progress
        self._known: dict[str, File] = {}
        if earlier is not None:
            self._known = manifest.read(earlier).files
        self._files: dict[str, File] = {}
        self._missing: list[str] = []
        self._done = self._total = 0

    def make(self, also: Mapping[str, Path], name: str) -> None:
        for new in (self._folder, self._folder / DATA, self._folder / DATA / SEGMENTS, self._folder / CONFIG):
            new.mkdir(mode=0o700)
        copied = self._folder / DATA / schema.INDEX_FILE
        version, counts, ends = _copy_index(self._data, copied)
        self._total = copied.stat().st_size + sum(size for _, size, _ in ends)
        with copied.open("rb") as file:
            self._files[f"{DATA}/{schema.INDEX_FILE}"] = self._digest(file.fileno(), copied.stat().st_size)
            os.fsync(file.fileno())
        for number, end, may_grow in ends:
            self._segment(number, end, may_grow=may_grow)
        for path in _other_files(self._data):
            self._whole(path, f"{DATA}/{path.relative_to(self._data)}")
        for wanted, path in also.items():
            self._whole(path, f"{CONFIG}/{wanted}")
        manifest.write(
            self._folder,
            Manifest(manifest.FORMAT, __version__, name, version, counts, self._files, self._missing),
        )
        for root, _, _ in os.walk(self._folder):
            sync_folder(Path(root))

    def _segment(self, number: int, end: int, *, may_grow: bool) -> None:
        source = segments.path_of(self._data / SEGMENTS, number)
        name = f"{DATA}/{SEGMENTS}/{source.name}"
        try:
            file = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._missing.append(source.name)
            return
        try:
            identity = _identity(file)
            known = self._known.get(name)
            same = known is not None and (known.size, known.identity) == (end, identity)
            if (
                same
                and known is not None
                and self._earlier is not None
                and _link(self._earlier / name, self._folder / name)
            ):
                self._files[name] = known
                self._advance(end)
            elif not may_grow and _link(source, self._folder / name):
                self._files[name] = self._digest(file, end)
            else:
                self._copy(file, name, end)
        finally:
            os.close(file)

    def _whole(self, source: Path, name: str) -> None:
        file = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._copy(file, name, os.fstat(file).st_size)
        finally:
            os.close(file)

    def _copy(self, file: int, name: str, size: int) -> None:
        target = self._folder / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(out, "wb") as copy:
            self._files[name] = self._digest(file, size, copy.write)
            copy.flush()
            os.fsync(copy.fileno())

    def _digest(self, file: int, size: int, also: Callable[[bytes], object] = lambda _: None) -> File:
        digest = hashlib.sha256()
        for piece in pieces(file, size):
            digest.update(piece)
            also(piece)
            self._advance(len(piece))
        return File(size, digest.hexdigest(), _identity(file))

    def _advance(self, octets: int) -> None:
        self._done += octets
        self._progress(self._done, max(self._total, self._done))


def pieces(file: int, size: int) -> Iterator[bytes]:
    """The first octets of a file. Raises OSError."""
    at = 0
    while at < size and (piece := os.pread(file, min(_PIECE, size - at), at)):
        yield piece
        at += len(piece)


def _copy_index(data: Path, target: Path) -> tuple[int, dict[str, int], list[tuple[int, int, bool]]]:
    """Copy the index as of one commit; returns its schema, counts, and for each segment how far it is needed and whether
    it may still grow."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        index = apsw.Connection(str(data / schema.INDEX_FILE))
        try:
            index.set_busy_timeout(30_000)
            index.execute("VACUUM INTO ?", (str(target),))
        finally:
            index.close()
        copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            counts = {name: int(copy.execute(sql).get) for name, sql in _COUNTS.items()}
            rows = schema.query(
                copy, "SELECT segment, max(offset), max(size) FROM blobs GROUP BY segment ORDER BY segment"
            )
            version = int(copy.pragma("user_version"))
        finally:
            copy.close()
    except apsw.Error as error:
        raise BackupError(f"the index cannot be copied ({error}): run `pillarbox fsck`") from error
    # What is appended to is the newest one that is not one large message's own.
    growing = max((segment for segment, _, largest in rows if largest <= ALONE), default=-1)
    return version, counts, [(s, _end(data / SEGMENTS, s, offset), s == growing) for s, offset, _ in rows]


def _end(folder: Path, segment: int, offset: int) -> int:
    """Where the record at an offset ends; where the file does, if it cannot be read."""
    try:
        for record in segments.scan(folder, segment, offset):
            return offset + segments.RECORD_HEADER + record.size + len(record.note)
        return segments.path_of(folder, segment).stat().st_size
    except FileNotFoundError:
        return 0


def _other_files(data: Path) -> Iterator[Path]:
    """Keys and whatever else a server keeps beside the store."""
    for path in sorted(data.iterdir()):
        if (
            path.name in _NOT_KEPT
            or path.name.startswith((schema.INDEX_FILE, TEXT_FILE, PLACEMENTS_FILE, _THROTTLE))
            or path.is_symlink()
        ):
            continue
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        elif path.is_file():
            yield path


def _identity(file: int) -> str:
    status = os.fstat(file)
    return f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"


def _link(source: Path, target: Path) -> bool:
    """Whether the file system could do it."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time into a folder. Raises BackupError."""
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup into {folder} is under way") from None
        yield
    finally:
        os.close(lock)
