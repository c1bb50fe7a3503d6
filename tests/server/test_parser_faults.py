"""A fault of ours in the parsing of messages: mail is taken, kept, listed, read and found all the same, and the log says where
the fault is."""

import asyncio
import imaplib
import io
import json
import smtplib
import ssl
from collections.abc import Iterator

import pytest
from tests.server.conftest import PASSWORD, loopback_config

from pillarbox.access.passwords import hash_password
from pillarbox.mail import mime, summary
from pillarbox.observe import log
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server

HEADER = b"From: bob@example.org\r\nTo: alice@example.test\r\nSubject: a hard one\r\nMessage-ID: <%d@example.org>\r\n"
BODY = b"Content-Type: text/plain\r\n\r\nThe needle is here.\r\n"
SIZES = (0, 200 * 1024, 5 * 1024 * 1024)
"""Octets of padding: parsed on the event loop, in a thread, and in a thread with a segment of its own."""


def messages() -> Iterator[bytes]:
    for number, padding in enumerate(SIZES):
        yield HEADER % number + BODY + b"padding\r\n" * (padding // 9)


@pytest.fixture
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[io.StringIO]:
    """The log, as it is written by a server."""
    stream = io.StringIO()
    log.configure(style="json", stream=stream)
    yield stream
    log.configure()


@pytest.mark.parametrize("broken", ["envelope", "tree"])
async def test_every_message_is_kept_whatever_its_parsing_raises(
    broken: str, tmp_path_factory: pytest.TempPathFactory, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'strip'")

    if broken == "envelope":
        monkeypatch.setattr(summary, "envelope", faulty)
    else:
        monkeypatch.setattr(mime, "_Parser", faulty)
    server = Server(loopback_config(tmp_path_factory.mktemp("data")), tell=log.Log().tell)
    await server.start()
    try:
        await server.store.directory.add_account("alice@example.test", hash_password(Secret(PASSWORD)))
        trust = ssl.create_default_context(cafile=str(server.certificate_authority))
        await asyncio.to_thread(_use, server, trust)
    finally:
        await server.stop()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    faults = [line for line in lines if line["event"] == "summary_failed"]
    assert len(faults) == 3 * len(SIZES)
    for line in faults:
        assert line["level"] == "error"
        assert line["error"] == "AttributeError: 'NoneType' object has no attribute 'strip'"
        assert "in faulty" in line["exception"]
    assert not [line for line in lines if line["event"] in ("internal_error", "bug")]


def _use(server: Server, trust: ssl.SSLContext) -> None:
    """Deliver and append; then list, read and find what was kept."""
    with smtplib.SMTP(*server.addresses["smtp"], timeout=20) as smtp:
        for octets in messages():
            smtp.sendmail("bob@example.org", ["alice@example.test"], octets)
    with imaplib.IMAP4_SSL(*server.addresses["imaps"], ssl_context=trust, timeout=20) as imap:
        imap.login("alice@example.test", PASSWORD)
        for mailbox in ("INBOX", "Sent"):
            for octets in messages():
                assert imap.append(mailbox, "", "", octets)[0] == "OK"
        assert imap.select("Sent")[1] == [b"3"]
        assert imap.select("INBOX")[1] == [b"6"]
        status, data = imap.fetch(
            "1:*", "(ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<0.11>)"
        )
        subjects = [part[1] for part in data if isinstance(part, tuple) and b"HEADER.FIELDS" in part[0]]
        texts = [part[1] for part in data if isinstance(part, tuple) and b"TEXT" in part[0].rpartition(b"BODY[")[2]]
        assert status == "OK"
        assert subjects == [b"Subject: a hard one\r\n\r\n"] * 6
        assert texts == [b"The needle "] * 6
        assert imap.search(None, "SUBJECT", "hard", "BODY", "needle")[1] == [b"1 2 3 4 5 6"]
        kept = [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, 7)]  # type: ignore[index]
        assert all(one.endswith(octets) for one, octets in zip(kept, [*messages()] * 2, strict=True))
        part = imap.fetch("1", "(BODY.PEEK[1])")[1]
        assert part[0][1] == b"The needle is here.\r\n"  # type: ignore[index]
