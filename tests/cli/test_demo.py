"""The demo starts at once, keeps its data, stops cleanly, and says so when it cannot start."""

import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.yardstick import smallest_help
from tests.demo import PASSWORD, environment, free_offset, running_demo


def test_data_and_authority_are_kept_and_reused(tmp_path: Path) -> None:
    with running_demo(tmp_path / "data") as demo:
        authority = demo.ca.read_bytes()
        with smtplib.SMTP_SSL("localhost", demo.port("submissions"), context=demo.trust) as client:
            client.login("alice@example.test", PASSWORD)
            client.sendmail("alice@example.test", ["x@elsewhere.example"], b"From: alice@example.test\r\n\r\nHi\r\n")
        offset = demo.offset
    with running_demo(tmp_path / "data") as demo:
        assert demo.ca.read_bytes() == authority
        mailboxes = imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=demo.trust)
        mailboxes.login("world@example.test", PASSWORD)
        assert mailboxes.select("INBOX") == ("OK", [b"1"]), "mail for elsewhere ends up with world, and is still there"
        mailboxes.logout()
        said = demo.output()
    assert offset != demo.offset
    for port in ("25", "465", "587", "110", "995", "143", "993"):
        assert f"\n {int(port) + demo.offset}" in said
    assert str(tmp_path / "data" / "ca.pem") in said
    assert "Stopped. The data is kept" in (tmp_path / f"demo-{demo.offset}.out").read_text()


def test_warm_start_costs_less_than_a_second(tmp_path: Path) -> None:
    with running_demo(tmp_path / "data"):
        pass
    with running_demo(tmp_path / "data") as demo:
        fields = Path(f"/proc/{demo.process.pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])  # proc(5): utime, stime
    assert (user + system) / os.sysconf("SC_CLK_TCK") < 5 * smallest_help()  # of CPU: a second on an ordinary machine


def test_it_makes_and_names_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pillarbox", "demo", "--port-offset", str(free_offset())]
    with subprocess.Popen(
        command, env={**environment(), "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Stop it" in line:
                break
        demo.send_signal(signal.SIGTERM)
        rest = demo.stdout.read()
    assert demo.returncode == 0
    [made] = tmp_path.iterdir()
    assert f"The data is kept in {made}" in rest
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    offset = free_offset()
    with socket.create_server(("127.0.0.1", 993 + offset)):
        done = subprocess.run(
            [sys.executable, "-m", "pillarbox", "demo", "--data", str(tmp_path / "d"), "--port-offset", str(offset)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert f"port {993 + offset}" in done.stderr
    assert "--port-offset" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["fsck"], ["account", "list"], ["queue", "list"]])
def test_commands_act_on_the_running_demo(tmp_path: Path, arguments: list[str]) -> None:
    with running_demo(tmp_path / "data"):
        done = subprocess.run(
            [sys.executable, "-m", "pillarbox", *arguments, "--data", str(tmp_path / "data")],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    if arguments == ["account", "list"]:
        assert "bob@example.test\tactive" in done.stdout
