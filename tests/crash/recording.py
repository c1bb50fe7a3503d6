"""A file layer that writes down what was asked of it; `aftermath` makes of it what a power cut would have left.

Recorded is what segments do (the calls of `os`), what SQLite does (a VFS) and what is written through Python's files:
writes, truncations, names of files and folders, and what was fsynced.
"""

import builtins
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw


@dataclass(slots=True)
class Event:
    """`kind`: write, truncate, sync, make, make-folder, link, remove, rename, sync-folder, nothing. `mark` is what the
    recorder's owner said; `other` the second name of a link or a rename."""

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
        open_, unlink, rename, link = os.open, os.unlink, os.rename, os.link

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

        def recorded(kind: str, path: Any, dir_fd: int | None, call: Callable[[], None]) -> None:
            path = os.path.join("" if dir_fd is None else self.path(dir_fd), os.fspath(path))
            self.do([Event(kind, path, 0)] if self.concerns(path) else [], call)

        def making(real: Callable[..., None]) -> Callable[..., None]:
            def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
                recorded("make-folder", path, dir_fd, lambda: real(path, mode, dir_fd=dir_fd))

            return mkdir

        def removing(real: Callable[..., None]) -> Callable[..., None]:
            def remove(path: Any, *, dir_fd: int | None = None) -> None:
                recorded("remove", path, dir_fd, lambda: real(path, dir_fd=dir_fd))

            return remove

        def naming(kind: str, real: Callable[..., None]) -> Callable[..., None]:
            def name(source: Any, target: Any, **named: Any) -> None:
                events = [Event(kind, os.fspath(source), 0, other=os.fspath(target))]
                self.do(events if self.concerns(os.fspath(target)) else [], lambda: real(source, target, **named))

            return name

        for called, function in (
            ("open", opening), ("mkdir", making(os.mkdir)), ("link", naming("link", link)),
            ("unlink", removing(unlink)), ("remove", removing(unlink)), ("rmdir", removing(os.rmdir)),
            ("rename", naming("rename", rename)), ("replace", naming("rename", rename)),
        ):  # fmt: skip
            patch(os, called, function)

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
