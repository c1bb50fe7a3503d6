"""The credential gate on the assembled server, over real sockets: what was wired together is as closed as its parts."""

import asyncio
import imaplib
import poplib
import smtplib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gates.ports import NAME, PASSWORD, PORTS, Port
from tests.server.conftest import loopback_config

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server

CLEAR_PORTS = [port for port in PORTS if not port.implicit_tls]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    running = Server(loopback_config(tmp_path / "data"))
    await running.start()
    await running.store.directory.add_account(NAME, hash_password(Secret(PASSWORD)))
    yield running
    await running.stop()


@pytest.fixture
def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.certificate_authority))


async def conversation(address: tuple[str, int], octets: bytes) -> bytes:
    """Everything that the server says, from the greeting to the end, to octets that come in one go."""
    reader, writer = await asyncio.open_connection(*address)
    await reader.readline()
    writer.write(octets)
    writer.write_eof()
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize("port", CLEAR_PORTS, ids=str)
async def test_refused_in_the_clear(server: Server, port: Port) -> None:
    for lines in port.good:
        said = await conversation(server.addresses[port.name], port.hello + b"\r\n" + b"\r\n".join(lines) + b"\r\n")
        assert said
        assert port.success not in said
        assert PASSWORD.encode() not in said


def smtp_login(address: tuple[str, int], trust: ssl.SSLContext, *, implicit: bool) -> None:
    if implicit:
        with smtplib.SMTP_SSL(*address, context=trust, timeout=10) as client:
            client.login(NAME, PASSWORD)
        return
    with smtplib.SMTP(*address, timeout=10) as client:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login(NAME, PASSWORD)
        client.starttls(context=trust)
        client.login(NAME, PASSWORD)


def pop3_login(address: tuple[str, int], trust: ssl.SSLContext, *, implicit: bool) -> None:
    client: poplib.POP3
    if implicit:
        client = poplib.POP3_SSL(*address, context=trust, timeout=10)
    else:
        client = poplib.POP3(*address, timeout=10)
        for command, secret in ((client.user, NAME), (client.pass_, PASSWORD)):
            with pytest.raises(poplib.error_proto, match="inside TLS only"):
                command(secret)
        client.stls(context=trust)
    client.user(NAME)
    client.pass_(PASSWORD)
    client.quit()


def imap_login(address: tuple[str, int], trust: ssl.SSLContext, *, implicit: bool) -> None:
    if implicit:
        with imaplib.IMAP4_SSL(*address, ssl_context=trust, timeout=10) as client:
            client.login(NAME, PASSWORD)
        return
    with imaplib.IMAP4(*address, timeout=10) as plain:
        with pytest.raises(imaplib.IMAP4.error, match="inside TLS only"):
            plain.login(NAME, PASSWORD)
        plain.starttls(ssl_context=trust)
        plain.login(NAME, PASSWORD)


LOGINS = {"submission": smtp_login, "pop3": pop3_login, "imap": imap_login}


@pytest.mark.parametrize("name", ["submission", "submissions", "pop3", "pop3s", "imap", "imaps"])
async def test_real_clients_log_in_inside_tls_only(server: Server, trust: ssl.SSLContext, name: str) -> None:
    protocol = name if name in LOGINS else name.removesuffix("s")
    await asyncio.to_thread(LOGINS[protocol], server.addresses[name], trust, implicit=name.endswith("s"))


async def test_port_25_has_no_auth_inside_tls_either(server: Server, trust: ssl.SSLContext) -> None:
    def visit(address: tuple[str, int]) -> None:
        with smtplib.SMTP(*address, timeout=10) as client:
            client.starttls(context=trust)
            client.ehlo()
            assert not client.has_extn("auth")
            assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] in (500, 502, 503)

    await asyncio.to_thread(visit, server.addresses["smtp"])


async def test_the_owner_is_told_of_a_password_in_the_clear(server: Server, trust: ssl.SSLContext) -> None:
    """Whatever was typed and whoever it belongs to, the connection hears the same; the owner finds a letter."""
    people = ((NAME, PASSWORD), (NAME, "open seseme"), ("allie@example.test", PASSWORD))
    typed = {
        "imap": 'a LOGIN {name} "{password}"\r\nb LOGOUT\r\n',
        "pop3": "USER {name}\r\nPASS {password}\r\nQUIT\r\n",
        "submission": "EHLO x\r\nAUTH PLAIN {plain}\r\nQUIT\r\n",
    }
    for port, lines in typed.items():
        answers = []
        for name, password in people:
            plain = b64encode(f"\0{name}\0{password}".encode()).decode()
            text = lines.format(name=name, password=password, plain=plain)
            answers.append(await conversation(server.addresses[port], text.encode()))
        assert answers[0] == answers[1] == answers[2], port
    account = await server.store.directory.account(NAME)
    assert account is not None
    view = await server.store.mail.open(account.id, "INBOX")
    async with asyncio.timeout(20):
        while not view.uids:
            await asyncio.sleep(0.02)
    letter = (await server.store.mail.octets(account.id, view.mailbox, view.uids[0]) or b"").decode()
    for words in ("Subject: Your password was sent in the clear", f"To: {NAME}", "127.0.0.1", "Auto-Submitted: auto-generated",
                  f"port {server.addresses['imap'][1]} of this server", f"port {server.addresses['imaps'][1]}, SSL/TLS",
                  f"pillarbox account passwd {NAME}"):  # fmt: skip
        assert words in letter
    assert PASSWORD not in letter
