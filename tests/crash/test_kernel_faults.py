"""Faults that the kernel itself makes: files that may not grow, a file system that is read-only, no processor time."""

import resource
import signal
import smtplib
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.crash.disk import in_namespace, mounted, remount
from tests.crash.people import body
from tests.crash.sink import running_sink
from tests.crash.test_faults import ALICE, House, count, refused
from tests.crash.test_faults import house as house  # a fixture
from tests.demo import PORTS, free_offset

pytestmark = pytest.mark.slow

LARGE = b"From: s@else.test\r\nSubject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 30_000


def limit(house: House, octets: int) -> None:
    """No file of the server may be larger than this from now on."""
    assert house.child.process is not None
    hard = resource.prlimit(house.child.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(house.child.process.pid, resource.RLIMIT_FSIZE, (octets, hard))


def test_no_file_may_grow(house: House) -> None:
    """Not even the log's."""
    with house.imap() as client:
        limit(house, 0)
        for attempt in (lambda: house.send("second"), lambda: house.submit("third")):
            code, text = refused(attempt)
            assert 400 <= code < 500
            assert text.startswith(b"4.")
        answer = client.append("INBOX", "", "", body("fourth"))
        assert (answer[0], answer[1][0][:13]) == ("NO", b"[UNAVAILABLE]")
        assert client.fetch("1", "(BODY.PEEK[])")[1][0][1].endswith(body("first"))
        limit(house, resource.RLIM_INFINITY)
        assert client.append("INBOX", "", "", body("fifth"))[0] == "OK"
        house.send("sixth")
    assert count(house) == 3
    assert house.child.control("check_store") == []
    assert house.told("message_accepted", "info", 2)[-1]["size"] > len(body("sixth"))  # the log is back


def test_no_large_file_may_grow(house: House) -> None:
    """Large messages are refused and the log says why; small ones come through."""
    with house.imap() as client:
        limit(house, 1_000_000)
        with smtplib.SMTP("127.0.0.1", house.child.port("smtp"), timeout=20) as sender:
            code, _ = refused(lambda: sender.sendmail("stranger@else.test", [ALICE], LARGE))
            assert 400 <= code < 500
        answer = client.append("INBOX", "", "", LARGE)
        assert (answer[0], answer[1][0][:13]) == ("NO", b"[UNAVAILABLE]")
        house.send("second")
        assert [e["error"] for e in house.told("spool_failed", "error", 2)] == ["[Errno 27] File too large"] * 2
        assert house.metric("spool_failures_total", fault="file_too_large") == 2
        limit(house, resource.RLIM_INFINITY)
        assert client.append("INBOX", "", "", LARGE)[0] == "OK"
    assert count(house) == 3
    assert house.child.control("check_store") == []


def test_a_file_system_that_is_read_only(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It cannot start, says why in a sentence, and starts when it can."""
    if in_namespace(request.node.nodeid, tmp_path):
        return
    mount = tmp_path / "disk"
    with mounted(mount, 64):
        house = House(mount)
        house.child.log = tmp_path / "log"
        try:
            house.start()
            house.prepare()
            house.child.stop()
            remount(mount, "ro")
            with pytest.raises(RuntimeError, match="Read-only file system") as caught:
                house.start()
            assert "Traceback" not in str(caught.value)
            remount(mount, "rw")
            house.start()
            house.send("second")
            assert count(house) == 2
            house.child.stop()
        finally:
            house.child.end()


def test_stopped_while_clients_are_in_the_middle(house: House) -> None:
    """Whoever was in IDLE, between DATA and its end, or in a POP3 session goes on as if nothing had been."""
    assert house.child.process is not None
    idle = house.imap()
    idle.send(b"i1 IDLE\r\n")
    idle.readline()
    pop = house.pop()
    with socket.create_connection(("127.0.0.1", house.child.port("smtp")), timeout=20) as line:
        reader = line.makefile("rb")
        line.sendall(f"EHLO x\r\nMAIL FROM:<s@else.test>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode())
        while not reader.readline().startswith(b"354"):
            pass
        line.sendall(body("second")[:100])
        house.child.process.send_signal(signal.SIGSTOP)
        line.sendall(body("second")[100:] + b".\r\n")
        time.sleep(4.0)
        house.child.process.send_signal(signal.SIGCONT)
        assert reader.readline().startswith(b"250")
    assert b"2 EXISTS" in idle.readline()
    idle.send(b"DONE\r\n")
    while not (answer := idle.readline()).startswith(b"i1"):
        assert answer
    assert answer.startswith(b"i1 OK")
    assert pop.stat()[0] == 1
    pop.quit()
    idle.shutdown()
    assert count(house) == 2


def test_others_take_the_processor(house: House) -> None:
    """Twenty processes that do nothing but compute; mail comes through, only later."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(20)]
    try:
        began = time.monotonic()
        with house.imap() as client:
            house.send("second")
            house.submit("third")
            assert client.append("INBOX", "", "", body("fourth"))[0] == "OK"
        assert time.monotonic() - began < 20
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert count(house) == 4


AWAY = """
[relay]
port = {port}
first_wait = 0.5
longest_wait = 0.5
[relay.smarthost]
host = "127.0.0.1"
port = {port}
security = "none"
"""


def test_the_queue_does_not_wait_for_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """A message is put off while the clock is two days ahead; when it is right again, and the server is started again, the
    message goes out."""
    port = PORTS["smtp"] + free_offset()
    house = House(tmp_path, AWAY.format(port=port))
    try:
        house.start()
        house.prepare()
        house.fault("clock", str(2 * 86400.0))
        house.submit("away", "someone@world.test")
        deadline = time.monotonic() + 20
        while not house.said("relay_deferred", "info"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        house.child.stop()
        house.mend()
        with running_sink(port) as sink:
            house.start()
            while not sink.taken:
                assert time.monotonic() < deadline + 20
                time.sleep(0.1)
            house.child.stop()
        assert house.said("clock_set_back", "warning")
    finally:
        house.child.end()
