"""FETCH and SEARCH as imapclient and imaplib understand them, on the whole server and its real store."""

import asyncio
import imaplib
import ssl
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import imapclient
import pytest
from tests.server.conftest import PASSWORD

from pillarbox.server.assembly import Server

EXAMPLES = sorted((Path(__file__).parents[3] / "shared/data/mime/mail-parser-rfc").glob("*.eml"))

LETTER = """\
From: "Søren" <soren@example.org>
To: alice@example.test, "Doe, John" <john@example.org>
Subject: =?utf-8?q?Caf=C3=A9?=
Date: Tue, 24 Nov 2026 05:00:00 +0100
Message-ID: <letter@example.org>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

R3LDvMOfZSBhdXMgS8O2bG4=
--b
Content-Type: application/octet-stream; name=x.bin
Content-Disposition: attachment; filename=x.bin
Content-Transfer-Encoding: base64

AAECAwQ=
--b--
""".replace("\n", "\r\n").encode()

LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%076d\r\n" % n for n in range(70_000))


async def clients(server: Server, trust: ssl.SSLContext, work: Callable[[imapclient.IMAPClient], None]) -> None:
    def run() -> None:
        host, port = server.addresses["imaps"]
        with imapclient.IMAPClient(host, port, ssl_context=trust, timeout=20) as client:
            client.login("alice@example.test", PASSWORD)
            work(client)

    await asyncio.to_thread(run)


async def test_what_imapclient_understands(server: Server, trust: ssl.SSLContext) -> None:
    def work(client: imapclient.IMAPClient) -> None:
        moment = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
        client.append("INBOX", LETTER, ["\\Flagged"], moment)
        client.append("INBOX", LARGE)
        client.select_folder("INBOX")
        assert client.search(["FLAGGED"]) == [1]
        assert client.search(["SUBJECT", "café"], "UTF-8") == [1]
        assert client.search(["TEXT", "grüße aus"], "UTF-8") == [1]
        assert client.search(["FROM", "søren"], "UTF-8") == [1]
        assert client.search(["TO", "doe, j"]) == [1]
        assert client.search(["BODY", "x.bin"]) == [1]
        assert client.search(["BODY", "00000069999"]) == [2]
        assert client.search(["SENTON", date(2026, 11, 24), "NOT", "SEEN"]) == [1]
        assert client.search(["ON", date(2026, 11, 24)])[0] == 1
        assert client.search(["LARGER", 1_000_000]) == [2]
        assert client.search(["KEYWORD", "nothing"]) == []
        items = [
            "FLAGS",
            "INTERNALDATE",
            "RFC822.SIZE",
            "ENVELOPE",
            "BODYSTRUCTURE",
            "BODY",
            "BODY.PEEK[]",
            "BODY.PEEK[1]<2.5>",
        ]
        first = client.fetch([1, 2], items)[1]
        assert first[b"BODY[]"] == LETTER
        assert first[b"BODY[1]<2>"] == b"LDvMO"
        assert first[b"RFC822.SIZE"] == len(LETTER)
        assert first[b"INTERNALDATE"].astimezone(UTC).replace(tzinfo=UTC) == moment
        envelope = first[b"ENVELOPE"]
        assert envelope.subject == b"=?utf-8?q?Caf=C3=A9?="
        assert [address.mailbox for address in envelope.to] == [b"alice", b"john"]
        assert envelope.to[1].name == b"Doe, John"
        assert envelope.from_[0].name == "Søren".encode()
        assert envelope.sender == envelope.reply_to == envelope.from_
        structure = first[b"BODYSTRUCTURE"]
        assert structure.is_multipart
        assert structure[0][1][:3] == (b"application", b"octet-stream", (b"name", b"x.bin"))
        assert structure[0][1][8] == (b"attachment", (b"filename", b"x.bin"))
        assert first[b"BODY"].is_multipart
        large = client.fetch([2], ["BODY[]"])[2]
        assert large[b"BODY[]"] == LARGE
        assert b"\\Seen" in client.fetch([2], ["FLAGS"])[2][b"FLAGS"]
        assert b"\\Seen" not in client.fetch([1], ["FLAGS"])[1][b"FLAGS"]
        pieces = [client.fetch([2], [f"BODY.PEEK[TEXT]<{at}.1000000>"])[2] for at in range(0, len(LARGE), 1_000_000)]
        assert b"".join(next(v for k, v in piece.items() if k.startswith(b"BODY")) for piece in pieces) == LARGE[18:]

    await clients(server, trust, work)


@pytest.mark.skipif(not EXAMPLES, reason="the public MIME examples are not here")
async def test_examples_come_back_as_they_were(server: Server, trust: ssl.SSLContext) -> None:
    messages = [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in EXAMPLES]

    def work(client: imapclient.IMAPClient) -> None:
        for message in messages:
            client.append("Archive", message)
        client.select_folder("Archive", readonly=True)
        numbers = list(range(1, len(messages) + 1))
        answers = client.fetch(
            numbers, ["BODY[]", "RFC822", "BODYSTRUCTURE", "ENVELOPE", "RFC822.HEADER", "RFC822.TEXT"]
        )
        assert len(answers) == len(messages)
        for uid, message in enumerate(messages, 1):
            answer = answers[uid]
            assert answer[b"BODY[]"] == answer[b"RFC822"] == message
            assert answer[b"RFC822.HEADER"] + answer[b"RFC822.TEXT"] == message
        assert client.search("SEEN") == []

    await clients(server, trust, work)


async def test_what_scripts_do_with_imaplib(server: Server, trust: ssl.SSLContext) -> None:
    def work() -> None:
        host, port = server.addresses["imaps"]
        with imaplib.IMAP4_SSL(host, port, ssl_context=trust, timeout=20) as client:
            client.login("alice@example.test", PASSWORD)
            client.append("INBOX", "", "", LETTER)
            client.select("INBOX")
            assert client.search(None, "ALL") == ("OK", [b"1"])
            assert client.search(None, "ANSWERED") == ("OK", [b""])
            assert client.uid("SEARCH", "HEADER", "Message-ID", "<letter@example.org>") == ("OK", [b"1"])
            status, answer = client.fetch("1", "(RFC822)")
            assert status == "OK"
            assert answer[0][1] == LETTER  # type: ignore[index]
            status, answer = client.uid("FETCH", "1", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            assert answer[0][1] == b"Subject: =?utf-8?q?Caf=C3=A9?=\r\n\r\n"
            assert client.fetch("1", "(BINARY.PEEK[2])")[1][0][1] == b"\0\1\2\3\4"  # type: ignore[index]

    await asyncio.to_thread(work)
