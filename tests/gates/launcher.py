"""Starts the real server for tests that watch it from within. Nothing in the server knows.

Usage: launcher.py REPORT BAD_PASSWORD ARGUMENTS... runs `pillarbox ARGUMENTS...`. REPORT is a directory: there an audit hook
writes, at the end, `audit.json`: what was opened for writing, started, or compiled after the start. A file `look` there makes
the process write `reprs.txt`, the repr of every object of the package that lives. Whoever has BAD_PASSWORD breaks the hashing.
"""

import atexit
import gc
import json
import os
import runpy
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

CHANGES = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
           "os.chmod": 1, "os.chown": 1, "os.mkfifo": 1, "os.utime": 1, "shutil.copyfile": 2, "shutil.move": 2}  # fmt: skip
"""Audit events of changes to the file system, and how many of their arguments are paths."""

STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
)
CODE = ("compile", "exec", "ctypes.dlopen", "code.__new__", "marshal.loads", "pickle.find_class")


class Audit:
    """What the process did. Each entry: event, and what it concerned."""

    def __init__(self) -> None:
        self.written: set[tuple[str, str]] = set()
        self.started: list[str] = []
        self.code: list[str] = []
        self.serving = False

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See sys.addaudithook; must not raise."""
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None:
                return
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._changed(event, path)
        elif (paths := CHANGES.get(event)) is not None:
            for path in arguments[:paths]:
                self._changed(event, path)
        elif event in STARTS:
            self.started.append(f"{event} {arguments!r}")
        elif self.serving and event in CODE and not _importing():
            self.code.append(f"{event} {arguments!r}"[:300])

    def _changed(self, event: str, path: Any) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            self.written.add((event, os.path.abspath(os.fsdecode(path))))

    def write(self, report: Path) -> None:
        """At the end."""
        found = {"written": sorted(self.written), "started": self.started, "code": self.code}
        (report / "audit.json").write_text(json.dumps(found))


def _importing() -> bool:
    """Whether a module of an installed package is being imported just now; that is the only code that may come. (A traceback
    that is printed reads lines of our own source with the parser, and runs nothing.)"""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in ("<frozen importlib._bootstrap>", traceback.__file__):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def note_start(audit: Audit) -> None:
    """Code may be compiled until the server serves."""
    from pillarbox.server.assembly import Server

    start = Server.start

    async def started(server: Server) -> None:
        await start(server)
        audit.serving = True

    Server.start = started  # type: ignore[method-assign]


def break_hashing(bad: str) -> None:
    """A mistake in the innermost place, with a password in hand."""
    from pillarbox.access import passwords

    class Broken:
        def __init__(self, hasher: Any) -> None:
            self._hasher = hasher

        def hash(self, password: bytes) -> Any:
            self._check(password)
            return self._hasher.hash(password)

        def verify(self, argon2_hash: str, password: bytes) -> Any:
            self._check(password)
            return self._hasher.verify(argon2_hash, password)

        def _check(self, password: bytes) -> None:
            if password.decode() == bad:
                raise RuntimeError("the hasher broke")

    passwords._HASHER = Broken(passwords._HASHER)  # type: ignore[assignment]


def look_when_told(report: Path) -> None:
    """Write the reprs when a file says so."""

    def wait() -> None:
        while not (report / "look").exists():
            time.sleep(0.05)
        gc.collect()
        lines = []
        for thing in gc.get_objects():
            if (type(thing).__module__ or "").startswith("pillarbox"):
                try:
                    lines.append(repr(thing))
                except Exception as error:  # an object that is half made
                    lines.append(repr(error))
        (report / "reprs.new").write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
        (report / "reprs.new").rename(report / "reprs.txt")

    threading.Thread(target=wait, daemon=True).start()


def main(folder: str, bad: str, *arguments: str) -> None:
    """Start it."""
    report, audit = Path(folder), Audit()
    sys.addaudithook(audit.hook)
    atexit.register(audit.write, report)
    note_start(audit)
    break_hashing(bad)
    look_when_told(report)
    sys.argv = ["pillarbox", *arguments]
    runpy.run_module("pillarbox", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
