"""A process that has everything imported and forks a server whenever one is wanted: half of what a kill costs is imports.

Run as a program it reads lines of JSON, [module with a `main`, its arguments, log, limits] or the number of a process. It
answers the first with the number of the new process, the second with how that one ended.
"""

import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def main() -> None:
    """The nursery."""
    from tests.crash import clock

    clock.install()

    import pillarbox

    for module in pkgutil.walk_packages(pillarbox.__path__, "pillarbox."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    modules = {name: importlib.import_module(f"tests.crash.{name}") for name in ("launcher", "backing")}
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        match json.loads(line):
            case int(process):
                answer = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            case [str(program), list(arguments), str(log), dict(limits)]:
                answer = os.fork()
                if answer == 0:
                    _become(log, limits)
                    modules[program].main(*arguments)
                    os._exit(0)
        os.write(1, b"%d\n" % answer)


def _become(log: str, limits: dict[str, list[int]]) -> None:
    nothing, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(out)
    for kind, (soft, hard) in limits.items():
        resource.setrlimit(int(kind), (soft, hard))


class Nursery:
    """The client's side; one to a test process, made when it is first wanted."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.crash.nursery"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        self._lock = threading.Lock()

    def ask(self, question: object) -> int:
        """One line there, one back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """It ends when nobody asks any more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Forked:
    """A process that a nursery made; used like a `subprocess.Popen`."""

    def __init__(
        self,
        nursery: Nursery,
        program: str,
        arguments: list[str],
        log: Path,
        limits: dict[int, tuple[int, int]] | None = None,
    ) -> None:
        self._nursery = nursery
        self.pid = nursery.ask([program, arguments, str(log), limits or {}])
        self._file = os.pidfd_open(self.pid)
        self._lock = threading.Lock()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        with self._lock:
            if self.returncode is None and select.select([self._file], [], [], 0)[0]:
                os.close(self._file)
                self.returncode = self._nursery.ask(self.pid)
            return self.returncode

    def wait(self, timeout: float = 600.0) -> int:
        """Until it ends; seconds. Raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """To a process that lives."""
        with self._lock:
            if self.returncode is None:
                signal.pidfd_send_signal(self._file, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
