"""Metrics of a whole server: what people do to it shows, every metric that is promised is there, and nothing else."""

import asyncio
import imaplib
import poplib
import smtplib
import ssl
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest
from tests.observe.exposition import Read
from tests.server.conftest import PASSWORD, loopback_config

from pillarbox.access.passwords import hash_password
from pillarbox.observe.descriptors import DescriptorGauge
from pillarbox.observe.lag import LagGauge
from pillarbox.observe.metrics import METRICS
from pillarbox.observe.observers import Observers
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server
from pillarbox.server.control import call
from pillarbox.server.measures import Measures
from pillarbox.server.settings import Metrics

ALICE = "alice@example.test"
MESSAGE = b"From: bob@example.org\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\nA first letter.\r\n"


def _use(server: Server, trust: ssl.SSLContext) -> None:
    """A day in short."""
    with smtplib.SMTP(*server.addresses["smtp"], timeout=10) as client:
        client.sendmail("bob@example.org", [ALICE], MESSAGE)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("bob@example.org", ["nobody@example.test"], MESSAGE)
    with smtplib.SMTP_SSL(*server.addresses["submissions"], context=trust, timeout=10) as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [ALICE], MESSAGE.replace(b"bob@example.org", ALICE.encode()))
    with imaplib.IMAP4_SSL(*server.addresses["imaps"], ssl_context=trust, timeout=10) as mailbox:
        with pytest.raises(imaplib.IMAP4.error):
            mailbox.login(ALICE, "qwertzuiop")
        mailbox.login(ALICE, PASSWORD)
        mailbox.select("INBOX")
        mailbox.uid("FETCH", "1:*", "(FLAGS)")
    drop = poplib.POP3_SSL(*server.addresses["pop3s"], context=trust, timeout=10)
    drop.user(ALICE)
    drop.pass_(PASSWORD)
    drop.quit()


async def _running(directory: Path) -> Server:
    """As `pillarbox serve` puts it together."""
    measures = Measures()
    measures.lag, measures.descriptors = LagGauge(measures.tally.tell), DescriptorGauge(measures.tally.tell)
    observer = Observers([measures.tally])
    server = Server(loopback_config(directory), observer=observer, tell=measures.tally.tell, measures=measures)
    await server.start()
    for name in ("alice", "world"):
        await server.store.directory.add_account(f"{name}@example.test", hash_password(Secret(PASSWORD)))
    return server


async def test_everything_is_counted(tmp_path: Path) -> None:
    server = await _running(tmp_path / "data")
    try:
        trust = ssl.create_default_context(cafile=str(server.certificate_authority))
        await asyncio.to_thread(_use, server, trust)
        text = await asyncio.to_thread(call, server.directory / "control.sock", "metrics", {})
    finally:
        await server.stop()
    page = Read(text)
    for name, labels, value in (
        ("messages_received_total", {"source": "network"}, 1),
        ("messages_received_total", {"source": "submission"}, 1),
        ("messages_delivered_total", {}, 3),  # one is the copy in Sent
        ("recipients_refused_total", {"code": "550"}, 1),
        ("logins_total", {"mechanism": "LOGIN", "outcome": "failed"}, 1),
        ("logins_total", {"mechanism": "LOGIN", "outcome": "ok"}, 1),
        ("logins_total", {"mechanism": "USER", "outcome": "ok"}, 1),
        ("connections_total", {"listener": "smtp"}, 1),
        ("connections_total", {"listener": "imaps"}, 1),
        ("connections_open", {"listener": "smtp"}, 0),
        ("commands_total", {"listener": "smtp", "command": "RCPT"}, 2),
        ("commands_total", {"listener": "imaps", "command": "LOGIN"}, 2),
        ("commands_total", {"listener": "imaps", "command": "UID FETCH"}, 1),
        ("commands_total", {"listener": "pop3s", "command": "PASS"}, 1),
        ("messages", {}, 3),
        ("store_segments", {}, 1),
        ("store_blobs", {}, 2),
        ("queue_messages", {}, 0),
        ("throttle_entries", {"table": "pairs"}, 1),
        ("throttle_entries", {"table": "familiar"}, 1),
    ):
        assert page.value(f"pillarbox_{name}", **labels) == value, (name, labels)
    assert page.total("pillarbox_tls_handshakes_total") == 3
    assert page.value("pillarbox_received_bytes_total", listener="smtp") > 2 * len(MESSAGE)
    assert page.value("pillarbox_sent_bytes_total", listener="imaps") > 100
    assert page.value("pillarbox_store_commit_seconds_count") >= 2
    assert page.value("pillarbox_store_operations_total") >= page.value("pillarbox_messages_delivered_total") / 2
    assert page.value("pillarbox_store_bytes", part="segments") > 2 * len(MESSAGE)
    assert page.value("pillarbox_disk_size_bytes") > page.value("pillarbox_disk_free_bytes") > 0
    assert page.value("pillarbox_tls_certificate_expiry_timestamp_seconds", certificate="main") > time.time() + 86400
    assert page.value("process_open_fds") > 3
    for secret in (PASSWORD, "qwertzuiop", "alice", "bob", "example", "127.0.0.1"):
        assert secret not in text, secret


async def test_every_metric_is_there_with_its_labels(tmp_path: Path) -> None:
    server = await _running(tmp_path / "data")
    for event in ("tls", "message_refused", "recipient_refused", "login"):
        server.measures.tally.tell(event)
    try:
        page = Read(await server.metrics())
    finally:
        await server.stop()
    labels_of: dict[str, set[frozenset[str]]] = {}
    for name, labels in page.values:
        labels_of.setdefault(name, set()).add(frozenset(label for label, _ in labels))
    optional = {"pillarbox_queue_recipients", "pillarbox_commands_total"}  # none yet
    for metric in METRICS:
        name = metric.name + ("_count" if metric.kind == "histogram" else "")
        if metric.name not in optional:
            assert page.kinds[metric.name] == metric.kind
            assert page.helps[metric.name] == metric.meaning
            assert labels_of[name] == {frozenset(metric.labels)}, name


async def test_a_store_that_cannot_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await _running(tmp_path / "data")

    def broken(_folder: object) -> object:
        raise OSError(5, "Input/output error")

    try:
        monkeypatch.setattr("pillarbox.store.embedded.figures._files", broken)
        page = Read(await server.metrics())
    finally:
        await server.stop()
    assert "pillarbox_store_blobs" not in page.kinds
    assert (
        page.value("pillarbox_build_info", **dict(next(k for n, k in page.values if n == "pillarbox_build_info"))) == 1
    )


async def test_by_http(tmp_path: Path) -> None:
    config = msgspec.structs.replace(loopback_config(tmp_path), metrics=Metrics(enabled=True, port=0))
    server = Server(config)
    await server.start()
    try:
        host, port = server.addresses["metrics"]
        assert host == "127.0.0.1"

        def fetch() -> tuple[str, str]:
            with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
                return answer.headers["Content-Type"], answer.read().decode()

        for _ in range(3):
            kind, text = await asyncio.to_thread(fetch)
        assert kind.startswith("text/plain; version=0.0.4")
        page = Read(text)
        assert page.value("pillarbox_connections_total", listener="metrics") == 3
        assert await server.reconfigure(msgspec.structs.replace(config, metrics=Metrics()))
        assert "pillarbox_build_info" in (await asyncio.to_thread(fetch))[1]  # that needs a restart, as other ports do
    finally:
        await server.stop()


async def test_off_by_default(server: Server) -> None:
    assert "metrics" not in server.addresses
