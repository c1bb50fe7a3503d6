"""A file layer that writes down what was asked of it, and images of what a power cut would have left.

Recorded is what segments do (the calls of `os`), what SQLite does (a VFS) and what is written through Python's files:
writes, truncations, names, and what was fsynced. An image takes the events up to one of them; of what was not fsynced by then
it keeps nothing, everything, or any part, the last write maybe torn. The same for names, which only an fsync of their folder
makes durable.
"""

import builtins
import io
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


@dataclass(slots=True)
class Event:
    """`kind`: write, truncate, sync, make, remove, rename, sync-folder, nothing. `mark` is what the recorder's owner said."""

    kind: str
    path: str
    mark: int
    offset: int = 0
    octets: bytes = b""
    other: str = ""


class Recorder:
    """Events in the order in which they happened: one at a time. `mark` is asked before each. They are handed to `keep`, which
    has none of them in memory, or become `events`."""

    def __init__(
        self, folder: Path, mark: Callable[[], int] = lambda: 0, keep: Callable[[list[Event]], None] | None = None
    ) -> None:
        self.events: list[Event] = []
        self._keep = keep or self.events.extend
        self._folder = str(folder) + "/"
        self._mark = mark
        self._lock = threading.RLock()

    def concerns(self, path: str) -> bool:
        """Whether a file is one of those that matter after a power cut."""
        return path.startswith(self._folder) and not path.endswith(("-shm", ".lock", "/lock"))

    def do(self, events: list[Event], call: Callable[[], Any]) -> Any:
        """Make a call; when it succeeded these are its events. A failed one must not happen here."""
        with self._lock:
            mark = self._mark()
            result = call()
            for event in events:
                event.mark = mark
            self._keep(events)
            return result

    def install(self, patch: Callable[[Any, str, Any], None]) -> None:
        """From now on everything in this process is recorded. `patch` sets attributes, and takes them back."""
        self._wrap_writes(patch)
        self._wrap_names(patch)
        self._wrap_files(patch)
        self.vfs = _Vfs(self)

    def path(self, file: int) -> str:
        """Of an open file."""
        return os.readlink(f"/proc/self/fd/{file}")

    def _wrap_writes(self, patch: Callable[[Any, str, Any], None]) -> None:
        pwrite, pwritev, fdatasync, fsync, truncate = os.pwrite, os.pwritev, os.fdatasync, os.fsync, os.truncate

        def writing(file: int, octets: bytes, offset: int) -> int:
            path = self.path(file)
            if not self.concerns(path):
                return pwrite(file, octets, offset)
            return int(self.do([Event("write", path, 0, offset, bytes(octets))], lambda: pwrite(file, octets, offset)))

        def writing_many(file: int, buffers: list[bytes], offset: int) -> int:
            event = Event("write", self.path(file), 0, offset, b"".join(buffers))
            written = int(self.do([event], lambda: pwritev(file, buffers, offset)))
            assert written == len(event.octets)
            return written

        def syncing(real: Callable[[int], None]) -> Callable[[int], None]:
            def sync(file: int) -> None:
                path = self.path(file)
                kind = "sync-folder" if os.path.isdir(path) else "sync"
                if self.concerns(path + "/" * (kind == "sync-folder")):
                    self.do([Event(kind, path, 0)], lambda: real(file))
                else:
                    real(file)

            return sync

        def truncating(path: Any, size: int) -> None:
            self.do([Event("truncate", os.fspath(path), 0, size)], lambda: truncate(path, size))

        for name, function in (
            ("pwrite", writing), ("pwritev", writing_many), ("truncate", truncating),
            ("fdatasync", syncing(fdatasync)), ("fsync", syncing(fsync)),
        ):  # fmt: skip
            patch(os, name, function)

    def _wrap_names(self, patch: Callable[[Any, str, Any], None]) -> None:
        open_, unlink, rename = os.open, os.unlink, os.rename

        def opening(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            with self._lock:
                events = []
                if self.concerns(os.fspath(path)):
                    there = os.path.exists(path)
                    if flags & os.O_CREAT and not there:
                        events = [Event("make", os.fspath(path), 0)]
                    elif flags & os.O_TRUNC and there:
                        events = [Event("truncate", os.fspath(path), 0)]
                return int(self.do(events, lambda: open_(path, flags, *arguments, **named)))

        def unlinking(path: Any, **named: Any) -> None:
            events = [Event("remove", os.fspath(path), 0)] if self.concerns(os.fspath(path)) else []
            self.do(events, lambda: unlink(path, **named))

        def renaming(source: Any, target: Any, **named: Any) -> None:
            events = [Event("rename", os.fspath(source), 0, other=os.fspath(target))]
            self.do(events if self.concerns(os.fspath(target)) else [], lambda: rename(source, target, **named))

        for name, function in (("open", opening), ("unlink", unlinking), ("rename", renaming), ("replace", renaming)):
            patch(os, name, function)

    def _wrap_files(self, patch: Callable[[Any, str, Any], None]) -> None:
        real = io.open

        def opening(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            path = self.path(file) if isinstance(file, int) else os.fspath(file)
            if not set(mode) & set("wax+") or not self.concerns(str(path)):
                return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = _Written(self, file, mode.replace("b", "").replace("t", ""), closefd, opener)
            octets = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return octets if "b" in mode else io.TextIOWrapper(octets, encoding, errors, newline)

        patch(io, "open", opening)
        patch(builtins, "open", opening)


class _Written(io.FileIO):
    """What lies below one of Python's files that are written; one without a name is not recorded: nobody finds it again."""

    def __init__(self, recorder: Recorder, file: Any, mode: str, closefd: bool, opener: Any) -> None:
        if not isinstance(file, int) and opener is None:
            opener = lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o666)  # noqa: E731  (os.open is ours)
        super().__init__(file, mode, closefd, opener)
        self._recorder = recorder
        self._path = recorder.path(self.fileno())
        self._recorded = recorder.concerns(self._path) and os.path.isfile(self._path)

    def write(self, octets: Any, /) -> int:
        octets = bytes(octets)
        if not self._recorded:
            return super().write(octets)
        event = Event("write", self._path, 0, self.tell(), octets)
        written = int(self._recorder.do([event], lambda: super(_Written, self).write(octets)))
        assert written == len(octets)
        return written

    def truncate(self, size: int | None = None, /) -> int:
        size = self.tell() if size is None else size
        events = [Event("truncate", self._path, 0, size)] if self._recorded else []
        return int(self._recorder.do(events, lambda: super(_Written, self).truncate(size)))


class _Vfs(apsw.VFS):
    """The system's, but everything is recorded. It is the default one until `unregister`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        return _File(self._recorder, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        events = [Event("remove", name, 0)]
        if syncdir:
            events.append(Event("sync-folder", os.path.dirname(name), 0))
        self._recorder.do(
            events if self._recorder.concerns(name) else [], lambda: super(_Vfs, self).xDelete(name, syncdir)
        )


class _File(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        self._path = "" if name is None else str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._recorder = recorder
        self._recorded = recorder.concerns(self._path)
        new = self._recorded and not os.path.exists(self._path)
        # SQLite fsyncs the folder with the first fsync of a new journal or log (unixSync, UNIXFILE_DIRSYNC).
        self._folder_too = new and bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        recorder.do(
            [Event("make", self._path, 0)] if new else [], lambda: super(_File, self).__init__("unix", name, flags)
        )

    def _do(self, events: list[Event], call: Callable[[], None]) -> None:
        self._recorder.do(events if self._recorded else [], call)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        event = Event("write", self._path, 0, offset, bytes(data))
        self._do([event], lambda: super(_File, self).xWrite(data, offset))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._do([Event("truncate", self._path, 0, newsize)], lambda: super(_File, self).xTruncate(newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        events = [Event("sync", self._path, 0)]
        if self._folder_too:
            events.append(Event("sync-folder", os.path.dirname(self._path), 0))
            self._folder_too = False
        self._do(events, lambda: super(_File, self).xSync(flags))


# What is left


@dataclass(slots=True)
class _Content:
    """A file's octets that are durable, and what happened to them since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.durable, event)
        self.pending = []


def _apply(octets: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        octets[:] = octets[: event.offset].ljust(event.offset, b"\0")
        return
    end = event.offset + len(event.octets)
    if len(octets) < event.offset:
        octets.extend(bytes(event.offset - len(octets)))
    octets[event.offset : end] = event.octets


class Disk:
    """What a disk would hold after the events that were `add`ed, if the power failed then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now: dict[str, _Content] = {}
        self._durable: dict[str, _Content] = {}
        self._made: dict[int, _Content] = {}  # by the event that made it
        self._pending: list[Event] = []  # names

    def add(self, event: Event) -> None:
        """This happened, too."""
        match event.kind:
            case "write" | "truncate":
                self._now[event.path].pending.append(event)
            case "sync":
                self._now[event.path].sync()
            case "sync-folder":
                self._sync_names(event.path)
            case "nothing":
                pass
            case _:
                self._name(self._now, event)
                self._pending.append(event)

    def _name(self, names: dict[str, _Content], event: Event) -> None:
        match event.kind:
            case "make":
                names[event.path] = self._made.setdefault(id(event), _Content())
            case "remove":
                names.pop(event.path, None)
            case "rename" if event.path in names:
                names[event.other] = names.pop(event.path)

    def _sync_names(self, folder: str) -> None:
        here = [e for e in self._pending if os.path.dirname(e.path) == folder]
        for event in here:
            self._name(self._durable, event)
        self._pending = [e for e in self._pending if e not in here]

    def image(self, target: Path, chance: random.Random) -> str:
        """Write what might be left into a new folder; returns how it was chosen."""
        how = chance.choice(["nothing", "everything", "some", "some", "beginning"])
        names = dict(self._durable)
        for event in _choose(self._pending, how, chance):
            self._name(names, event)
        target.mkdir(parents=True)
        for path, content in names.items():
            octets = bytearray(content.durable)
            kept = _choose(content.pending, how, chance)
            for event in kept[:-1]:
                _apply(octets, event)
            for event in kept[-1:]:
                _apply(octets, _torn(event, chance))
            place = target / Path(path).relative_to(self._folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(octets)
        return how

    def everything(self) -> dict[str, bytes]:
        """What the files hold if the power does not fail."""
        found = {}
        for path, content in self._now.items():
            octets = bytearray(content.durable)
            for event in content.pending:
                _apply(octets, event)
            found[path] = bytes(octets)
        return found


def _choose(events: list[Event], how: str, chance: random.Random) -> list[Event]:
    match how:
        case "nothing":
            return []
        case "some":
            return [e for e in events if chance.random() < 0.5]
        case "beginning":
            return events[: chance.randrange(len(events) + 1)]
        case _:
            return events


def _torn(event: Event, chance: random.Random) -> Event:
    """Whole, or cut at a sector or at any octet."""
    size = len(event.octets)
    cut = chance.choice([size, size, chance.randrange(size + 1), chance.randrange(size + 1) // SECTOR * SECTOR])
    return (
        event if event.kind == "truncate" else Event("write", event.path, event.mark, event.offset, event.octets[:cut])
    )
