"""`pillarbox demo` as a child process on free ports, for tests that talk to it as a stranger would."""

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "pillarbox"

PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993}

SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Demo:
    """A running demo server. `ca` is the file that clients trust."""

    directory: Path
    offset: int
    process: subprocess.Popen[bytes]

    def port(self, listener: str) -> int:
        return PORTS[listener] + self.offset

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def output(self) -> str:
        """What the server has said so far."""
        return (self.directory.parent / f"demo-{self.offset}.out").read_text()


_STEP = 13
"""Multiples of it differ by nothing by which two of PORTS differ, so two offsets never share a port."""

_spoken_for: list[socket.socket] = []


def free_offset() -> int:
    """An offset at which all seven ports are free on loopback, and which no other test gets as long as this process lives: an
    abstract socket of that name is the mark, for a server binds only later, and again after each restart. The ports are below
    those that the system gives to clients: none is taken by somebody's outgoing connection."""
    for _ in range(100):
        offset = _STEP * random.randint(11_000 // _STEP, 31_000 // _STEP)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0pillarbox-test-ports-{offset}")
            for port in PORTS.values():
                for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                    with socket.socket(family) as probe:
                        probe.bind((host, offset + port))
        except OSError:
            mark.close()
            continue
        _spoken_for.append(mark)
        return offset
    raise RuntimeError("no seven free ports")


def environment() -> dict[str, str]:
    """The child finds the package in this checkout, whether it is installed or not, and keeps bytecode, as ordinary ones do."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default", "NO_COLOR": "1", "COLUMNS": "160"}


@contextmanager
def running_demo(directory: Path, *, patience: float = 20.0) -> Iterator[Demo]:
    """Start one on `directory`, wait until it accepts on every port; stop it by Ctrl-C and check that it ended well."""
    offset = free_offset()
    out = directory.parent / f"demo-{offset}.out"
    with out.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pillarbox", "demo", "--data", str(directory), "--port-offset", str(offset)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        deadline = time.monotonic() + patience
        while "Stop it" not in out.read_text():  # the last line of what it says when it serves
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the demo did not start:\n{out.read_text()}")
            time.sleep(0.02)
        yield Demo(directory, offset, process)
        assert process.poll() is None, f"the demo ended by itself:\n{out.read_text()}"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0, f"Ctrl-C did not stop it cleanly:\n{out.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
