"""The ground is taken from under the real server: it says so politely, writes why, keeps reading, and recovers by itself."""

import contextlib
import imaplib
import poplib
import resource
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash.disk import in_namespace, mounted
from tests.crash.people import body
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.net.dns_server import DnsServer
from tests.observe.exposition import Read

pytestmark = pytest.mark.slow

ALICE = f"alice@{DOMAIN}"


class House:
    """A running server with one account and one message, and clients for it."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.child = Child(directory, extra=extra)

    def start(self, **named: Any) -> None:
        self.child.start(**named)
        self.trust = ssl.create_default_context(cafile=str(self.child.data / "ca.pem"))

    def prepare(self) -> None:
        self.child.control("add_account", address=ALICE, password=PASSWORD)
        self.send("first")

    def send(self, key: str) -> None:
        """From another server. Raises SMTPException."""
        with smtplib.SMTP("127.0.0.1", self.child.port("smtp"), timeout=20) as client:
            client.sendmail("stranger@else.test", [ALICE], body(key))

    def submit(self, key: str, recipient: str = ALICE) -> None:
        """From the account. Raises SMTPException."""
        port = self.child.port("submissions")
        with smtplib.SMTP_SSL("127.0.0.1", port, context=self.trust, timeout=20) as client:
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, [recipient], body(key).replace(b"From: " + key.encode(), b"From: alice", 1))

    def imap(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.child.port("imaps"), ssl_context=self.trust, timeout=20)
        client.login(ALICE, PASSWORD)
        client.select("INBOX")
        return client

    def pop(self) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.child.port("pop3s"), context=self.trust, timeout=20)
        client.user(ALICE)
        client.pass_(PASSWORD)
        return client

    def fault(self, name: str, text: str = "") -> None:
        (self.child.faults / name).write_text(text)

    def mend(self) -> None:
        for path in self.child.faults.iterdir():
            path.unlink()

    def said(self, event: str, level: str) -> list[dict[str, Any]]:
        return [e for e in self.child.events() if e["event"] == event and e["level"] == level]

    def told(self, event: str, level: str, number: int) -> list[dict[str, Any]]:
        """The same once there are so many: the log's own thread writes them a moment later."""
        deadline = time.monotonic() + 10
        while len(said := self.said(event, level)) < number:
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        return said

    def metric(self, name: str, **labels: str) -> float:
        """What `pillarbox metrics` says."""
        return Read(self.child.control("metrics")).value(f"pillarbox_{name}", **labels)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.start()
    try:
        made.prepare()
        yield made
        made.mend()
        made.child.stop()
    finally:
        made.child.end()


def refused(attempt: Callable[[], object]) -> tuple[int, bytes]:
    """What SMTP answers to an attempt that must not succeed."""
    with pytest.raises(smtplib.SMTPException) as caught:
        attempt()
    error = caught.value
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(iter(error.recipients.values()))
    assert isinstance(error, smtplib.SMTPResponseException), error
    return error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()


def count(house: House) -> int:
    with house.imap() as client:
        return int(client.select("INBOX")[1][0] or 0)


@pytest.mark.parametrize(
    ("name", "kind"), [("full", "disk_full"), ("broken-write", "io_error"), ("read-only", "read_only")]
)
def test_nothing_can_be_written(house: House, name: str, kind: str) -> None:
    with house.imap() as client, house.imap() as other:
        pop = house.pop()
        pop.dele(1)
        house.fault(name)
        for attempt in (lambda: house.send("second"), lambda: house.submit("third")):
            code, text = refused(attempt)
            assert 400 <= code < 500
            assert text.startswith(b"4.")
        for answer in (
            client.append("INBOX", "", "", body("fourth")),
            client.store("1", "+FLAGS", "(\\Flagged)"),
            client.copy("1", "Trash"),
            client.create("New"),
        ):
            assert answer[0] == "NO"
            assert answer[1][0].startswith(b"[UNAVAILABLE]"), answer
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            pop.quit()
        pop.close()
        fetched = other.fetch("1", "(BODY.PEEK[])")[1]
        assert fetched[0][1].endswith(body("first"))
        failures = house.metric("store_write_failures_total", fault=kind)
        said = house.told("store_unavailable", "error", int(failures))
        assert {line["fault"] for line in said} == {kind}
        assert failures == len(said)
        assert house.metric("store_refusals_total", fault=kind) == len(house.told("store_failed", "error", 5)) == 5
        house.mend()
        assert client.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
        assert client.append("INBOX", "", "", body("fifth"))[0] == "OK"
        house.send("sixth")
    assert count(house) == 3
    assert house.child.control("check_store") == []


def test_nothing_can_be_read(house: House) -> None:
    house.child.stop()
    house.start()  # nothing of it is in memory
    with house.imap() as client:
        house.fault("broken-read")
        answer = client.fetch("1", "(BODY.PEEK[])")
        assert answer[0] == "NO"
        pop = house.pop()
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/"):
            pop.retr(1)
        pop.quit()
        assert {line["fault"] for line in house.told("store_failed", "error", 2)} == {"io_error"}
        assert house.metric("store_refusals_total", fault="io_error") == 2
        house.send("second")
        house.mend()
        assert client.fetch("1", "(BODY.PEEK[])")[1][0][1].endswith(body("first"))
        assert client.fetch("2", "(BODY.PEEK[])")[1][0][1].endswith(body("second"))


def test_out_of_descriptors(house: House) -> None:
    """From one moment on the kernel gives none; who is connected works on, and newcomers come in afterwards."""
    assert house.child.process is not None
    process = house.child.process.pid
    client = house.imap()
    client.fetch("1", "(BODY.PEEK[])")
    limits = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (16, limits[1]))  # fewer than there are
    with contextlib.ExitStack() as guests:
        for _ in range(100):
            guests.enter_context(socket.create_connection(("127.0.0.1", house.child.port("imaps")), timeout=5))
        deadline = time.monotonic() + 10
        while not house.said("out_of_descriptors", "error"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.fetch("1", "(BODY.PEEK[])")[1][0][1].endswith(body("first"))
        assert client.append("INBOX", "", "", body("second"))[0] in ("OK", "NO")
        resource.prlimit(process, resource.RLIMIT_NOFILE, limits)
        house.send("third")
        assert client.append("INBOX", "", "", body("fourth"))[0] == "OK"
        assert house.metric("out_of_descriptors_seconds_total") >= 1
        assert house.metric("events_total", event="out_of_descriptors") >= 1
    client.logout()
    assert len(house.said("out_of_descriptors", "error")) < 50, "the log must not fill the disk"


@pytest.mark.parametrize("jump", [-10 * 365 * 86400.0, 40 * 86400.0])
def test_the_clock_jumps(house: House, jump: float) -> None:
    with house.imap() as client:
        house.send("second")
        house.fault("clock", str(jump))
        house.send("third")
        house.submit("fourth")
        assert client.noop()[0] == "OK"
        assert client.uid("FETCH", "1:*", "(UID)")[1] == [b"%d (UID %d)" % (n, n) for n in range(1, 5)]
        validity = client.status("INBOX", "(UIDVALIDITY)")[1]
        client.create("New")
        client.delete("New")
        client.create("New")
        house.child.stop()
    house.start()
    with house.imap() as client:
        assert client.status("INBOX", "(UIDVALIDITY)")[1] == validity
        house.mend()
        house.send("fifth")
        assert client.noop()[0] == "OK"
    assert count(house) == 5


def test_no_processor_for_a_while(house: House) -> None:
    """Whoever waits goes on waiting; the server says that it was late, and that it was not of its own making."""
    assert house.child.process is not None
    with house.imap() as client:
        house.child.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        house.child.process.send_signal(signal.SIGCONT)
        assert client.append("INBOX", "", "", body("second"))[0] == "OK"
        deadline = time.monotonic() + 15
        while not (late := [e for e in house.said("loop_late", "warning") if e["lag"] > 1]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert late[0]["computed"] < late[0]["lag"] / 2
        assert house.metric("event_loop_lag_since_start_seconds", quantile="1") > 1
        assert house.metric("events_total", event="loop_late") >= 1
    house.send("third")
    assert count(house) == 3


def test_a_disk_that_is_really_full(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A small file system, filled by somebody else, emptied again."""
    if in_namespace(request.node.nodeid, tmp_path):
        return
    mount = tmp_path / "disk"
    with mounted(mount, 8):
        house = House(mount)
        try:  # the log is on it, too
            house.start()
            house.prepare()
            ballast = mount / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass
            code = 250
            for number in range(200):  # what SQLite and the segment have in reserve is used up at some point
                try:
                    house.send(f"more{number}")
                except smtplib.SMTPResponseException as error:
                    code = error.smtp_code
                    break
            assert 400 <= code < 500
            full = house.metric("store_write_failures_total", fault="disk_full")
            assert (
                full + house.metric("spool_failures_total", fault="disk_full") >= 1
            )  # the log is on the full disk, too
            assert house.metric("disk_free_bytes") < 100_000
            with house.imap() as client:
                assert client.fetch("1", "(BODY.PEEK[])")[1][0][1].endswith(body("first"))
            ballast.unlink()
            before = count(house)
            house.send("after")
            assert count(house) == before + 1
            assert house.child.control("check_store") == []
            house.child.stop()
        finally:
            house.child.end()


RELAYING = """
[dns]
servers = ["127.0.0.1:{dns}"]
[relay]
port = {port}
first_wait = 0.5
longest_wait = 0.5
"""


async def test_dns_is_dead_silent_broken_then_there(tmp_path: Path) -> None:
    """Mail for others waits; mail for us does not notice."""
    import asyncio

    from tests.crash.sink import running_sink

    with running_sink() as sink:
        async with DnsServer(
            {("world.test", "MX"): ["10 mx.world.test."], ("mx.world.test", "A"): ["127.0.0.1"]}
        ) as dns:
            dns.silent.add("world.test")
            house = House(tmp_path, RELAYING.format(dns=dns.port, port=sink.port))
            try:
                await asyncio.to_thread(house.start)
                await asyncio.to_thread(house.prepare)
                await asyncio.to_thread(house.submit, "away", "someone@world.test")
                began = time.monotonic()
                await asyncio.to_thread(house.send, "second")
                assert time.monotonic() - began < 2
                assert await asyncio.to_thread(count, house) == 2
                dns.silent.clear()
                dns.broken.add("world.test")
                async with asyncio.timeout(60):
                    while not house.said("relay_deferred", "info"):
                        await asyncio.sleep(0.1)
                assert len(house.child.control("list_queue")) == 1
                assert house.said("dns_failed", "info")
                assert sum(house.metric("dns_failures_total", reason=why) for why in ("timeout", "servfail")) >= 1
                assert house.metric("relay_deferred_total", reason="dns") >= 1
                assert house.metric("queue_messages") == 1
                assert sink.taken == []
                dns.broken.clear()
                async with asyncio.timeout(60):
                    while not sink.taken:
                        await asyncio.sleep(0.1)
                await asyncio.to_thread(house.child.stop)
            finally:
                house.child.end()
