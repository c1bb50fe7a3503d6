"""POP3 on the assembled server: real sockets, TLS and poplib, a store on disk, IMAP beside it."""

import asyncio
import imaplib
import poplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server.conftest import PASSWORD, loopback_config

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server
from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

ADDRESS = "alice@example.test"
MESSAGES = [
    b"Subject: one\r\n\r\nfirst\r\n.dot\r\n..dots\r\n\r\n",
    b"Subject: two\r\n\r\n" + b"x" * 70 + b"\r\n.\r\n" * 3,
    b"Subject: large\r\n\r\n" + b".a line of text\r\n" * 200_000,
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    running = Server(loopback_config(tmp_path / "data"))
    await running.start()
    account = await running.store.directory.add_account(ADDRESS, hash_password(Secret(PASSWORD)))
    await running.store.mail.append(account.id, "INBOX", [NewMessage(Spool.of(octets)) for octets in MESSAGES])
    yield running
    await running.stop()


@pytest.fixture
def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.certificate_authority))


def login(server: Server, trust: ssl.SSLContext) -> poplib.POP3_SSL:
    client = poplib.POP3_SSL(*server.addresses["pop3s"], context=trust, timeout=10)
    client.user(ADDRESS)
    client.pass_(PASSWORD)
    return client


async def test_keep_then_delete_with_imap_beside_it(server: Server, trust: ssl.SSLContext) -> None:
    def keep() -> list[bytes]:
        client = login(server, trust)
        assert client.stat() == (3, sum(map(len, MESSAGES)))
        fetched = [b"\r\n".join(client.retr(i + 1)[1]) + b"\r\n" for i in range(3)]
        assert fetched == MESSAGES
        assert [int(line.split()[1]) for line in client.list()[1]] == [len(octets) for octets in MESSAGES]
        assert client.top(1, 1)[1] == [b"Subject: one", b"", b"first"]
        ids = client.uidl()[1]
        client.quit()
        return ids

    def delete() -> list[bytes]:
        client = login(server, trust)
        ids = client.uidl()[1]
        client.dele(2)
        assert client.quit().startswith(b"+OK")
        return ids

    first = await asyncio.to_thread(keep)
    imap = await asyncio.to_thread(imaplib.IMAP4_SSL, *server.addresses["imaps"], ssl_context=trust, timeout=10)
    await asyncio.to_thread(imap.login, ADDRESS, PASSWORD)
    assert (await asyncio.to_thread(imap.select, "INBOX"))[1] == [b"3"]
    assert await asyncio.to_thread(delete) == first  # the same ids in every session
    await asyncio.to_thread(imap.noop)
    assert imap.response("EXPUNGE")[1] == [b"2"]
    await asyncio.to_thread(imap.logout)


async def test_the_lock_goes_with_the_connection(server: Server, trust: ssl.SSLContext) -> None:
    def visit() -> None:
        first = login(server, trust)
        first.dele(1)
        second = poplib.POP3_SSL(*server.addresses["pop3s"], context=trust, timeout=10)
        second.user(ADDRESS)
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            second.pass_(PASSWORD)
        second.quit()
        first.close()  # without QUIT: the line breaks

    await asyncio.to_thread(visit)
    client = await asyncio.to_thread(login, server, trust)
    assert await asyncio.to_thread(client.stat) == (3, sum(map(len, MESSAGES)))  # nothing was deleted
    await asyncio.to_thread(client.quit)


async def test_a_pipelining_client_over_stls(server: Server, trust: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection(*server.addresses["pop3"])
    await reader.readline()
    writer.write(b"STLS\r\n")
    assert (await reader.readline()).startswith(b"+OK")
    await writer.start_tls(trust, server_hostname="localhost")
    writer.write(f"USER {ADDRESS}\r\nPASS {PASSWORD}\r\n".encode() + b"RETR 3\r\nRETR 1\r\nRETR 3\r\nQUIT\r\n")
    async with asyncio.timeout(20):
        said = await reader.read()
    large = MESSAGES[2].replace(b"\n.", b"\n..")
    assert said.count(large) == 2
    assert said.endswith(b".\r\n+OK Goodbye; 0 messages deleted\r\n")
    writer.close()
