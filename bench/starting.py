"""`python -m bench.starting`: how long until `pillarbox --help` has answered, and until `pillarbox demo` serves on all ports.

Each is a process of its own, started again and again on files that the system has read before. The demo serves when each of its
seven ports has sent its greeting, those with TLS from the first octet within TLS. It is started on a fresh folder, where it
makes keys, certificates and accounts, and on one that has a large mailbox.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.corpus import small
from bench.growth.__main__ import RESULTS
from bench.keeper import kept
from pillarbox.cli.demo_server import PEOPLE, PORTS, demo_server
from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

HELP_GOAL, DEMO_GOAL = 0.25, 1.0
"""Seconds, with files in the page cache."""

BATCH = 500
PATIENCE = 60.0
_TLS_FIRST = ("submissions", "imaps", "pop3s")
_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": ""}
_COMMAND = [sys.executable, "-m", "pillarbox"]


def answering_help() -> float:
    """Seconds."""
    start = time.perf_counter()
    subprocess.run([*_COMMAND, "--help"], env=_ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def serving(directory: Path) -> float:
    """Seconds from the start of a demo until it greets on every port; it is stopped again."""
    offset = _free_offset()
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # it makes its authority meanwhile
    start = time.perf_counter()
    command = [*_COMMAND, "demo", "--data", str(directory), "--port-offset", str(offset)]
    with subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        try:
            for name, port in PORTS.items():
                _greeting(process, port + offset, trust if name in _TLS_FIRST else None)
            return time.perf_counter() - start
        finally:
            process.send_signal(signal.SIGTERM)


def _free_offset() -> int:
    """Where all ports of a demo are free, below those that the system gives to clients."""
    while True:
        offset = random.randint(11_000, 31_000)
        with ExitStack() as probes, suppress(OSError):
            for port in PORTS.values():
                probes.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            return offset


def _greeting(process: "subprocess.Popen[bytes]", port: int, trust: ssl.SSLContext | None) -> None:
    until = time.perf_counter() + PATIENCE
    while True:
        try:
            with socket.create_connection(("localhost", port), timeout=PATIENCE) as line:
                if trust is None:
                    assert line.recv(1)
                else:
                    with trust.wrap_socket(line, server_hostname="localhost") as secured:
                        assert secured.recv(1)
            return
        except ConnectionRefusedError:
            if process.poll() is not None or time.perf_counter() > until:
                raise RuntimeError("the demo did not start") from None
            time.sleep(0.002)


async def fill(directory: Path, count: int) -> None:
    """Make a demo's folder with so many messages in Alice's INBOX, all of them in the text index."""
    directory.mkdir(mode=0o700)
    server = await demo_server(directory, 0)
    store = server.store
    try:
        owner = await store.directory.account(PEOPLE[0])
        assert owner is not None
        for start in range(0, count, BATCH):
            batch = range(start, min(start + BATCH, count))
            await store.mail.append(owner.id, "INBOX", [NewMessage(Spool.of(small(n))) for n in batch])
        await store.indexer.catch_up()
    finally:
        await store.close()


def _row(what: str, goal: float, times: int, measure: Callable[[], float]) -> tuple[str, bool]:
    measure()  # whatever is read from the disk is read now
    seconds = sorted(measure() for _ in range(times))
    median = statistics.median(seconds)
    row = f"| {what} | {times} | {median:.2f} | {seconds[0]:.2f} - {seconds[-1]:.2f} | {goal:.2f} |"
    print(row, flush=True)
    return row, median <= goal


def measured(folder: Path, *, times: int, messages: int, output: Path) -> int:
    """Exit status 1 when a goal was missed."""
    large = folder / "large"
    asyncio.run(fill(large, messages))
    fresh = (folder / f"fresh{n}" for n in range(times + 1))
    rows = [
        _row("`pillarbox --help`", HELP_GOAL, times, answering_help),
        _row("`pillarbox demo` on a fresh folder", DEMO_GOAL, times, lambda: serving(next(fresh))),
        _row(f"`pillarbox demo` on a mailbox of {messages:,}", DEMO_GOAL, times, lambda: serving(large)),
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / "starting.md").write_text(
        "# Starting\n\nSeconds from the start of the process, files in the page cache: until `--help` has answered, and "
        "until the demo has greeted on all\nseven ports, those with TLS from the first octet within TLS. "
        f"CPython {sys.version.split()[0]}. Made by `make bench-start`.\n\n"
        "| what | times | median | range | goal |\n|---|---|---|---|---|\n" + "\n".join(row for row, _ in rows) + "\n"
    )
    return 0 if all(good for _, good in rows) else 1


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.starting", description=__doc__)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--messages", type=int, default=100_000, help="in the large mailbox")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the table")
    arguments = parser.parse_args()
    return kept(
        lambda folder: measured(folder, times=arguments.times, messages=arguments.messages, output=arguments.output)
    )


if __name__ == "__main__":
    sys.exit(main())
