"""A server as a process: signals, systemd, privileges, and a log that keeps secrets."""

import imaplib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pillarbox.server.control import call
from pillarbox.server.lifecycle import TURN, notify, raise_file_limit

PASSWORD = "correct horse battery"

SCRIPT = textwrap.dedent("""
    import json, sys
    from pathlib import Path
    from pillarbox.server.config import load
    from pillarbox.server.lifecycle import run

    def ready(server):
        print(json.dumps(server.addresses | {"switch_interval": sys.getswitchinterval()}), flush=True)

    run(load(sys.argv[1]), transcript=Path(sys.argv[2]), ready=ready, reread=lambda: load(sys.argv[1]))
""")

CONFIG = """
host_name = "mail.example.test"
data = "{data}"
domains = ["example.test"]
[tls]
local_names = ["127.0.0.1"]
[relay]
everything_to = "alice@example.test"
[log]
level = "debug"
[limits]
shutdown_patience = 0.5
{listeners}
"""


@contextmanager
def _running(directory: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    names = ("smtp", "submissions", "submission", "pop3", "pop3s", "imap", "imaps")
    listeners = "\n".join(f'[listeners.{name}]\nhost = "127.0.0.1"\nport = 0' for name in names)
    config = directory / "pillarbox.toml"
    config.write_text(CONFIG.format(data=directory / "data", listeners=listeners))
    source = str(Path(__file__).parents[2] / "src")
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(config), str(directory / "transcripts")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": source, **environment},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (directory / "log").read_text()
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "log").read_text().splitlines()]


def _wait_for(directory: Path, event: str, count: int = 1) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [e for e in _events(directory) if e["event"] == event]
        if len(found) >= count:
            return found[count - 1]
        time.sleep(0.02)
    pytest.fail(f"no {event} in {(directory / 'log').read_text()}")


def test_life(tmp_path: Path) -> None:
    with _running(tmp_path) as (process, addresses):
        data = tmp_path / "data"
        call(data / "control.sock", "add_account", {"address": "alice@example.test", "password": PASSWORD})
        trust = ssl.create_default_context(cafile=str(data / "ca.pem"))
        with imaplib.IMAP4_SSL(*addresses["imaps"], ssl_context=trust, timeout=10) as client:
            client.login("alice@example.test", PASSWORD)
            client.select("INBOX")

        idle = imaplib.IMAP4_SSL(*addresses["imaps"], ssl_context=trust, timeout=10)
        process.send_signal(signal.SIGHUP)
        _wait_for(tmp_path, "config_reloaded")
        file = tmp_path / "pillarbox.toml"
        right = file.read_text()
        file.write_text(right + "xyzzy = 1")
        process.send_signal(signal.SIGHUP)
        assert "xyzzy" in _wait_for(tmp_path, "config_not_reloaded")["reason"]
        assert idle.noop()[0] == "OK", "a reload does not touch who is connected"

        process.send_signal(signal.SIGTERM)
        assert b"BYE" in idle.readline()
        idle.shutdown()
        assert process.wait(20) == 0
    assert not (data / "control.sock").exists()
    events = _events(tmp_path)
    assert [e["event"] for e in events][-1] == "stopped"
    assert [e["event"] for e in events if e["level"] in ("warning", "error")] == ["config_not_reloaded"]

    login = next(e for e in events if e["event"] == "login")
    assert login["connection"]
    everything = (tmp_path / "log").read_text() + "".join(f.read_text() for f in (tmp_path / "transcripts").iterdir())
    assert PASSWORD not in everything
    assert "C: " in everything
    assert "LOGIN" in everything


def test_threads_take_short_turns(tmp_path: Path) -> None:
    with _running(tmp_path) as (_, told):
        assert told["switch_interval"] == pytest.approx(TURN), "else a commit waits 5 ms at each step for a busy loop"


def test_a_command_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    with _running(tmp_path) as (process, addresses), socket.create_connection(tuple(addresses["smtp"])) as client:
        client.settimeout(20)
        assert client.recv(1000).startswith(b"220 ")
        client.sendall(b"EHLO me\r\nMAIL FROM:<a@example.org>\r\n")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # the impatient one
        assert process.wait(20) == 0


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        with _running(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000") as (process, _):
            assert {systemd.recv(100) for _ in range(3)} == {b"READY=1", b"WATCHDOG=1"}
            process.send_signal(signal.SIGINT)
            while (told := systemd.recv(100)) != b"STOPPING=1":
                assert told == b"WATCHDOG=1"
            assert process.wait(20) == 0


def test_notify_without_systemd() -> None:
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": "/nowhere/at/all"})


def test_file_limit() -> None:
    assert raise_file_limit() > 0
