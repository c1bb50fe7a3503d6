"""Using a snapshot of a backup: verify it, restore it, open it to read what is in it."""

import asyncio
import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pillarbox.store.api import Progress, StoreError
from pillarbox.store.embedded import manifest, schema
from pillarbox.store.embedded.backup import pieces
from pillarbox.store.embedded.manifest import DATA, BackupError, File, Manifest
from pillarbox.store.embedded.place import SEGMENTS, sync_folder, sync_to_root
from pillarbox.store.embedded.store import EmbeddedStore

_COUNTED = {
    "accounts": "SELECT count(*) FROM accounts",
    "mailboxes": "SELECT count(*) FROM mailboxes",
    "blobs": "SELECT count(*) FROM blobs",
    "queue": "SELECT count(*) FROM queue",
}


def _nobody_waits(_done: int, _total: int) -> None:
    """Nobody is told."""


@asynccontextmanager
async def opened(snapshot: Path, scratch: Path | None = None) -> AsyncIterator[EmbeddedStore]:
    """The store as the snapshot has it, restored into a folder below `scratch` (None: the system's) that goes afterwards:
    a copy of the index, links to the segments. Raises BackupError."""
    held = manifest.read(snapshot)
    folder, ours = await asyncio.to_thread(_make_folder, scratch or Path(tempfile.gettempdir()), "pillarbox-snapshot-")
    try:
        try:
            await asyncio.to_thread(_lay_out, snapshot, held, folder)
            store = await EmbeddedStore.open(folder)
        except (OSError, StoreError) as error:
            raise BackupError(f"the store in {snapshot} cannot be opened: {error}") from error
        try:
            await store.keep_still()
            yield store
        finally:
            await store.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        os.close(ours)


def _lay_out(snapshot: Path, held: Manifest, folder: Path) -> None:
    (folder / SEGMENTS).mkdir(mode=0o700)
    shutil.copyfile(snapshot / DATA / schema.INDEX_FILE, folder / schema.INDEX_FILE)
    (folder / schema.INDEX_FILE).chmod(0o600)
    for name in held.files:
        if name.startswith(f"{DATA}/{SEGMENTS}/"):
            (folder / SEGMENTS / Path(name).name).symlink_to((snapshot / name).resolve())


async def verify(snapshot: Path, *, progress: Progress = _nobody_waits) -> AsyncIterator[str]:
    """Everything that is wrong with a snapshot, as sentences: every file is read and compared with its hash, the store is
    opened and checked message by message, its counts compared. `progress` is in octets, then in messages. Raises
    BackupError when there is no telling."""
    held = manifest.read(snapshot)
    total = sum(file.size for file in held.files.values())
    done = 0
    for name in held.missing:
        yield f"segment {name} was missing already when the backup was made"
    for name, file in held.files.items():
        problem = await asyncio.to_thread(_compare, snapshot / name, file)
        if problem:
            yield f"{name} {problem}"
        done += file.size
        progress(done, total)
    try:
        async with opened(snapshot) as store:
            async for problem in store.check.problems(repair=False, progress=progress):
                yield problem
            for what, expected in held.counts.items():
                found = await _count(store, what)
                if found != expected:
                    yield f"there are {found} {what}, not {expected}"
    except BackupError as error:
        yield str(error)


async def _count(store: EmbeddedStore, what: str) -> int:
    if what in _COUNTED:
        return await store.check.count(_COUNTED[what])
    total = 0
    for account in await store.directory.accounts():
        for mailbox in await store.mail.mailboxes(account.id):
            view = await store.mail.open_by_id(account.id, mailbox.id)
            records = await store.mail.records(account.id, mailbox.id, list(view.uids))
            total += sum(record is not None for record in records)
    return total


def _compare(path: Path, expected: File) -> str:
    """What is wrong with a file; "" when nothing is."""
    try:
        return _read(path, expected, lambda _: None)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _read(path: Path, expected: File, write: Callable[[bytes], object]) -> str:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        for piece in pieces(file.fileno(), expected.size):
            digest.update(piece)
            write(piece)
            size += len(piece)
    if size != expected.size:
        return f"has {size} octets, not {expected.size}"
    return "" if digest.hexdigest() == expected.sha256 else "is damaged: its hash is another"


def restore(snapshot: Path, data: Path, *, progress: Progress = _nobody_waits) -> list[str]:
    """Make a data directory of a snapshot: all or nothing, but files that are damaged come as they are. The
    configuration goes into its folder `restored-config`. Returns what is damaged. Raises BackupError, OSError."""
    held = manifest.read(snapshot)
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(f"{data} is not empty: a whole server is restored into a new data directory")
    data = data.resolve()
    data.parent.mkdir(parents=True, exist_ok=True)
    under_way, ours = _make_folder(data.parent, f".{data.name}.restoring-")
    problems: list[str] = []
    try:
        done, total = 0, sum(file.size for file in held.files.values())
        for name, file in held.files.items():
            problem = _bring(snapshot / name, under_way / _place(name), file)
            if problem:
                problems.append(f"{name} {problem}")
            done += file.size
            progress(done, total)
        for root, _, _ in os.walk(under_way):
            sync_folder(Path(root))
        under_way.rename(data)
    except BaseException:
        shutil.rmtree(under_way, ignore_errors=True)
        raise
    finally:
        os.close(ours)
    sync_to_root(data.parent)
    return problems


def _make_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder with a lock on it; returns both. What processes that were killed left behind goes: their locks have gone,
    and it holds mail. Raises OSError."""
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):  # somebody else's, or in use
            file = _hold(left)
            try:
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(file)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    return folder, _hold(folder)


def _hold(folder: Path) -> int:
    """Lock one of our own folders. Raises OSError: another process has it, or it is none of ours."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(file).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "somebody else's folder", str(folder))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _place(name: str) -> str:
    kind, _, rest = name.partition("/")
    return rest if kind == DATA else f"restored-config/{rest}"


def _bring(source: Path, target: Path, expected: File) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(out, "wb") as copy:
        try:
            problem = _read(source, expected, copy.write)
        except FileNotFoundError:
            problem = "is missing"
        copy.flush()
        os.fsync(copy.fileno())
    return problem
