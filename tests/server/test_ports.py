"""Every port of a whole server against what strangers try at its border between plaintext and TLS."""

import asyncio
import poplib
import smtplib
import ssl

import pytest
from tests.server.conftest import PASSWORD

from pillarbox.server.assembly import Server

STARTTLS = {
    "smtp": (b"EHLO me\r\n", b"250 ", b"STARTTLS\r\n", b"220 "),
    "submission": (b"EHLO me\r\n", b"250 ", b"STARTTLS\r\n", b"220 "),
    "pop3": (b"CAPA\r\n", b".\r\n", b"STLS\r\n", b"+OK"),
    "imap": (b"a1 CAPABILITY\r\n", b"a1 OK", b"a2 STARTTLS\r\n", b"a2 OK"),
}
INJECTED = b"NOOP\r\na3 NOOP\r\n"
IMPLICIT = ("submissions", "pop3s", "imaps")


async def _until(reader: asyncio.StreamReader, start: bytes) -> None:
    async with asyncio.timeout(10):
        while not (await reader.readline()).startswith(start):
            pass


async def _rest(reader: asyncio.StreamReader) -> bytes:
    got = b""
    try:
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                got += piece
    except ConnectionError:
        pass
    return got


async def _ready_for_starttls(server: Server, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*server.addresses[name])
    await reader.readline()
    command, end, _, _ = STARTTLS[name]
    writer.write(command)
    await _until(reader, end)
    return reader, writer


@pytest.mark.parametrize("name", STARTTLS)
async def test_starttls_then_everything_works(server: Server, trust: ssl.SSLContext, name: str) -> None:
    reader, writer = await _ready_for_starttls(server, name)
    command, end, starttls, agreed = STARTTLS[name]
    writer.write(starttls)
    assert (await reader.readline()).startswith(agreed)
    await writer.start_tls(trust, server_hostname="mail.example.test")
    writer.write(command)
    await _until(reader, end)
    writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", STARTTLS)
async def test_session_tickets_everywhere_but_on_port_25(
    server: Server, trust: ssl.SSLContext, name: str, version: ssl.TLSVersion
) -> None:
    """Microsoft's senders abort a connection on which they get one, and never come back in the clear."""
    trust.maximum_version = version
    reader, writer = await _ready_for_starttls(server, name)
    command, end, starttls, _ = STARTTLS[name]
    writer.write(starttls)
    await reader.readline()
    await writer.start_tls(trust, server_hostname="mail.example.test")
    writer.write(command)
    await _until(reader, end)  # a ticket of TLS 1.3 comes with the first octets
    assert writer.get_extra_info("ssl_object").session.has_ticket is (name != "smtp")
    writer.close()


@pytest.mark.parametrize("name", STARTTLS)
async def test_octets_behind_starttls_in_one_segment(server: Server, name: str) -> None:
    reader, writer = await _ready_for_starttls(server, name)
    _, _, starttls, agreed = STARTTLS[name]
    writer.write(starttls + INJECTED)
    rest = await _rest(reader)
    assert not any(line.startswith(agreed) for line in rest.splitlines()), "TLS was refused, and the connection closed"
    assert b"a3" not in rest
    writer.close()


@pytest.mark.parametrize("name", STARTTLS)
async def test_octets_behind_starttls_in_a_segment_of_their_own(server: Server, name: str) -> None:
    reader, writer = await _ready_for_starttls(server, name)
    _, _, starttls, agreed = STARTTLS[name]
    writer.write(starttls)
    assert (await reader.readline()).startswith(agreed)
    writer.write(INJECTED)
    assert await _rest(reader) == b"", "what is no TLS is never answered"
    writer.close()


@pytest.mark.parametrize("name", IMPLICIT)
@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO me\r\n", b"\x00" * 100])
async def test_plaintext_at_a_tls_port(server: Server, name: str, first: bytes) -> None:
    reader, writer = await asyncio.open_connection(*server.addresses[name])
    writer.write(first)
    assert await _rest(reader) == b""
    writer.close()


@pytest.mark.parametrize("name", STARTTLS)
async def test_http_at_a_mail_port(server: Server, name: str) -> None:
    reader, writer = await asyncio.open_connection(*server.addresses[name])
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"NOOP\r\n" * 20)
    answer = await _rest(reader)
    assert b"POST" not in answer, "nothing is echoed"
    assert b"HTTP" not in answer
    writer.close()


def _session_tickets(address: tuple[str, int], trust: ssl.SSLContext) -> bool:
    with smtplib.SMTP(*address, timeout=10) as client:
        client.starttls(context=trust)
        client.noop()
        session = client.sock.session  # type: ignore[union-attr]
        return bool(session and session.has_ticket)


async def test_no_session_tickets_on_port_25_only(server: Server, trust: ssl.SSLContext) -> None:
    trust.check_hostname = False  # smtplib connects by address
    assert not await asyncio.to_thread(_session_tickets, server.addresses["smtp"], trust)
    assert await asyncio.to_thread(_session_tickets, server.addresses["submission"], trust)


def _submit_and_retrieve(server: Server, trust: ssl.SSLContext) -> list[bytes]:
    with smtplib.SMTP_SSL(*server.addresses["submissions"], context=trust, timeout=10) as client:
        client.login("alice@example.test", PASSWORD)
        client.sendmail("alice@example.test", ["alice@example.test"], b"From: alice@example.test\r\n\r\nHello.\r\n")
    pop = poplib.POP3_SSL(*server.addresses["pop3s"], context=trust, timeout=10)
    pop.user("alice@example.test")
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 1
    lines = pop.retr(1)[1]
    pop.dele(1)
    pop.quit()
    return lines


async def test_submitted_by_465_and_retrieved_by_995(server: Server, trust: ssl.SSLContext) -> None:
    lines = await asyncio.to_thread(_submit_and_retrieve, server, trust)
    assert lines[-1] == b"Hello."
    assert any(line.lower().startswith(b"message-id:") for line in lines)


async def test_nobody_relays(server: Server) -> None:
    def attempt() -> int:
        with smtplib.SMTP(*server.addresses["smtp"], timeout=10) as client:
            client.ehlo("me")
            assert not client.has_extn("auth")
            client.mail("a@example.org")
            return client.rcpt("b@example.com")[0]

    assert await asyncio.to_thread(attempt) == 550
