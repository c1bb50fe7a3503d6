"""Snapshots of a backup folder, and the manifest that says what each holds.

    FOLDER/2026-11-24T07-31-25Z/manifest.json
                                data/       what goes into a data directory: index.sqlite, segments/, keys
                                config/     the configuration and the certificates that it names

A file's hash is that of its first `size` octets: segments only grow, so a hard link to one that does stays right.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

MANIFEST = "manifest.json"
DATA = "data"
CONFIG = "config"
FORMAT = 1

_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d+)?")


class BackupError(Exception):
    """It cannot be done; the text is for people."""


class File(msgspec.Struct, frozen=True):
    """`identity` tells whether the source is still the very file that was read (device, inode, time of change)."""

    size: int
    sha256: str
    identity: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """`counts` are those of the index: accounts, mailboxes, messages, blobs, queue. `missing`: segments that the index
    names and that were not there."""

    format: int
    pillarbox: str
    created: str
    schema: int
    counts: dict[str, int]
    files: dict[str, File]
    missing: list[str] = []


def snapshots(folder: Path) -> list[Path]:
    """The finished snapshots of a backup folder, oldest first. Raises OSError."""
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name) and (p / MANIFEST).is_file()), key=_order)


def _order(snapshot: Path) -> tuple[str, int]:
    when, _, number = snapshot.name.partition("Z-")
    return when.rstrip("Z"), int(number or 1)


def find(folder: Path) -> Path:
    """The snapshot meant by a folder: itself, or the newest in it. Raises BackupError."""
    try:
        if (folder / MANIFEST).is_file():
            return folder
        found = snapshots(folder)
    except OSError as error:
        raise BackupError(f"{folder} cannot be read: {error.strerror}") from None
    if not found:
        raise BackupError(f"{folder} holds no backup")
    return found[-1]


def read(snapshot: Path) -> Manifest:
    """The manifest of a snapshot. Raises BackupError."""
    try:
        octets = (snapshot / MANIFEST).read_bytes()
        kind = msgspec.json.decode(octets, type=dict).get("format")
        if isinstance(kind, int) and kind > FORMAT:
            raise BackupError(f"{snapshot} was made by a newer Pillarbox (format {kind}, this one knows {FORMAT})")
        manifest = msgspec.json.decode(octets, type=Manifest)
    except OSError as error:
        raise BackupError(f"{snapshot / MANIFEST} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BackupError(f"{snapshot / MANIFEST} is damaged: {error}") from None
    for name in manifest.files:
        if name.startswith("/") or ".." in name.split("/"):
            raise BackupError(f"{snapshot / MANIFEST} names a file outside of the backup: {name!r}")
    return manifest


def write(snapshot: Path, manifest: Manifest) -> None:
    """Put it into the snapshot, durably. Raises OSError."""
    file = os.open(snapshot / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def new_name(folder: Path, now: float) -> str:
    """A name for a snapshot that is made now, later in order than all that are there: else it would be the first to go. So
    where many are made in a second, or the clock went back, the last one's time goes on, with a number."""
    when, number = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H-%M-%S"), 1
    last = max((_order(path) for path in folder.iterdir() if _NAME.fullmatch(path.name)), default=("", 0))
    if last >= (when, number):
        when, number = last[0], last[1] + 1
    return f"{when}Z" if number == 1 else f"{when}Z-{number}"
