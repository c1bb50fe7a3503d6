"""Real clients against the whole server: the standard library's imaplib, and imapclient."""

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import imapclient
import pytest
from tests.server.conftest import PASSWORD, loopback_config

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server

ALICE = "alice@example.test"
MESSAGE = b"From: bob@example.org\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\nA letter.\r\n"
LARGE = MESSAGE + b"0123456789" * 7 + b"\r\n" + b"x" * 3_000_000 + b"\r\n"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(loopback_config(tmp_path / "data"))
    await server.start()
    await server.store.directory.add_account(ALICE, hash_password(Secret(PASSWORD)))
    yield server
    await server.stop()


@pytest.fixture
def trust(running: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(running.certificate_authority))


def _imaplib(address: tuple[str, int], trust: ssl.SSLContext) -> None:
    with imaplib.IMAP4(*address, timeout=10) as client:
        assert "LOGINDISABLED" in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login("nobody@example.test", PASSWORD)  # alice would get a letter about it
        client.starttls(trust)
        client.login(ALICE, PASSWORD)
        assert client.create("Projects/2024")[0] == "OK"
        assert client.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(1_000_000_000), MESSAGE)[0] == "OK"
        assert client.append("INBOX", "", "", LARGE)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"2"])
        assert client.response("UIDVALIDITY")[1][0].isdigit()
        assert client.store("1", "+FLAGS", "(\\Flagged $Todo)")[1] == [b"1 (FLAGS ($Todo \\Flagged \\Seen \\Recent))"]
        assert client.copy("1:2", "Projects/2024")[0] == "OK"
        assert client.uid("MOVE", "2", "Trash")[0] == "OK"
        assert client.response("EXPUNGE") == ("EXPUNGE", [b"2"])
        assert client.status("Trash", "(MESSAGES UIDNEXT UNSEEN)")[1] == [b'"Trash" (MESSAGES 1 UIDNEXT 2 UNSEEN 1)']
        assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.namespace()[1] == [b'(("" "/")) NIL NIL']
        assert len(client.list()[1]) == 8
        assert len(client.lsub()[1]) == 6
        assert client.close()[0] == "OK"
        assert client.select("nowhere")[0] == "NO"
        assert client.delete("Projects/2024")[0] == "OK"


async def test_imaplib(running: Server, trust: ssl.SSLContext) -> None:
    await asyncio.to_thread(_imaplib, ("localhost", running.addresses["imap"][1]), trust)


def _imapclient(port: int, trust: ssl.SSLContext) -> None:
    with (
        imapclient.IMAPClient("localhost", port, ssl_context=trust, timeout=10) as one,
        imapclient.IMAPClient("localhost", port, ssl_context=trust, timeout=10) as two,
    ):
        one.login(ALICE, PASSWORD)
        two.plain_login(ALICE, PASSWORD)
        assert one.enable("CONDSTORE") == [b"CONDSTORE"]
        assert one.find_special_folder(b"\\Sent") == "Sent"
        one.create_folder("Entwürfe & Co")
        assert "Entwürfe & Co" in [name for _, _, name in two.list_folders()]
        assert one.select_folder("INBOX")[b"EXISTS"] == 0
        two.select_folder("INBOX")
        two.idle()
        one.multiappend("INBOX", [MESSAGE, MESSAGE])
        assert (2, b"EXISTS") in two.idle_check(timeout=5)
        two.idle_done()
        uids = [1, 2]
        two.add_flags(uids, [b"\\Seen", b"$Work"])
        one.noop()
        assert set(one.get_flags([1])[1]) >= {b"$Work", b"\\Seen"}
        fetched = one.fetch(uids, ["FLAGS", "BODY[]", "INTERNALDATE"])
        assert fetched[1][b"BODY[]"] == MESSAGE
        one.move([1], "Archive")
        two.noop()
        two.delete_messages([2])
        two.expunge([2])
        one.noop()
        assert one.folder_status("INBOX", ["MESSAGES"]) == {b"MESSAGES": 0}
        assert one.id_({"name": "test"})[0][1] == b"Pillarbox"
        one.rename_folder("Entwürfe & Co", "Äpfel")
        assert one.folder_exists("Äpfel")
        one.delete_folder("Äpfel")
        one.unselect_folder()


async def test_imapclient(running: Server, trust: ssl.SSLContext) -> None:
    await asyncio.to_thread(_imapclient, running.addresses["imaps"][1], trust)
