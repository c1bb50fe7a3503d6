"""The whole server over real sockets: from port 25 into a mailbox, and out by IMAPS."""

import asyncio
import imaplib
import os
import smtplib
import socket
import ssl
from pathlib import Path

import apsw
import msgspec
import pytest
from tests.server.conftest import PASSWORD, loopback_config

from pillarbox.net.listener import BindError
from pillarbox.server.assembly import Server, StartError
from pillarbox.server.control import call
from pillarbox.store.embedded.placements import PLACEMENTS_FILE

MESSAGE = b"From: bob@example.org\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\nA first letter.\r\n"


def _send(address: tuple[str, int]) -> None:
    with smtplib.SMTP(*address, timeout=10) as client:
        client.sendmail("bob@example.org", ["alice@example.test"], MESSAGE)


def _fetch(address: tuple[str, int], trust: ssl.SSLContext) -> bytes:
    with imaplib.IMAP4_SSL(*address, ssl_context=trust, timeout=10) as client:
        client.login("alice@example.test", PASSWORD)
        assert client.select("INBOX")[1] == [b"1"]
        return client.fetch("1", "(BODY.PEEK[])")[1][0][1]  # type: ignore[index, return-value]


async def test_from_port_25_to_imaps(server: Server, trust: ssl.SSLContext) -> None:
    await asyncio.to_thread(_send, server.addresses["smtp"])
    octets = await asyncio.to_thread(_fetch, server.addresses["imaps"], trust)
    assert octets.endswith(MESSAGE)
    assert b"by mail.example.test with ESMTP" in octets


async def test_where_everything_is_was_copied_when_it_stopped(server: Server) -> None:
    await asyncio.to_thread(_send, server.addresses["smtp"])
    await server.stop()
    connection = apsw.Connection(str(server.directory / PLACEMENTS_FILE))
    assert connection.execute("SELECT count(*) FROM messages").get == 1
    connection.close()


async def test_every_listener_answers(server: Server, trust: ssl.SSLContext) -> None:
    greetings = {"smtp": b"220 ", "submission": b"220 ", "submissions": b"220 ", "imap": b"* OK ", "imaps": b"* OK "}
    greetings |= {"pop3": b"+OK", "pop3s": b"+OK"}
    assert set(server.addresses) == set(greetings)
    for name, (host, port) in server.addresses.items():
        implicit = server.config.listeners.named()[name].security == "implicit"
        reader, writer = await asyncio.open_connection(
            host, port, ssl=trust if implicit else None, server_hostname="mail.example.test" if implicit else None
        )
        assert (await reader.readline()).startswith(greetings[name]), name
        writer.close()


async def test_control_socket(server: Server) -> None:
    path = server.directory / "control.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    names = [entry["domain"] for entry in await asyncio.to_thread(call, path, "list_domains", {})]
    assert names == ["example.test"]


async def test_stop_and_start_again_keeps_the_mail(tmp_path: Path) -> None:
    for expected in (0, 1):
        server = Server(loopback_config(tmp_path))
        await server.start()
        assert len(await server.store.directory.accounts()) == expected
        if not expected:
            arguments = {"address": "alice@example.test", "password": PASSWORD}
            await asyncio.to_thread(call, tmp_path / "control.sock", "add_account", arguments)
        await server.stop()
    assert not (tmp_path / "control.sock").exists()


async def test_whom_the_throttle_knows_outlives_a_restart(server: Server) -> None:
    assert server._access is not None
    throttle, now = server._access.throttle, server._access.clock()
    throttle.succeeded("198.51.100.9", "alice@example.test", now)
    for _ in range(30):
        throttle.failed("203.0.113.7", "nobody", now)
    assert throttle.wait("203.0.113.7", "alice@example.test", now) > 0
    await server.stop()
    again = Server(loopback_config(server.directory))
    await again.start()
    try:
        assert again._access is not None
        throttle, now = again._access.throttle, again._access.clock()
        assert throttle.wait("203.0.113.7", "alice@example.test", now) > 0
        assert throttle.is_familiar("198.51.100.9", "alice@example.test", now)
    finally:
        await again.stop()


async def test_second_server_on_the_same_directory_is_refused(server: Server) -> None:
    with pytest.raises(StartError):
        await Server(loopback_config(server.directory)).start()
    # ... and the first one is as it was
    assert await asyncio.to_thread(call, server.directory / "control.sock", "list_domains", {})


async def test_port_in_use_is_explained(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = loopback_config(tmp_path)
        imap = msgspec.structs.replace(config.listeners.imap, port=port)
        busy = msgspec.structs.replace(config, listeners=msgspec.structs.replace(config.listeners, imap=imap))
        with pytest.raises(BindError, match=f"another program uses port {port}"):
            Server(busy).bind()


async def test_secrets_and_keys_are_private(server: Server) -> None:
    for name in ("access.key", "server.key", "ca.key"):
        assert (server.directory / name).stat().st_mode & 0o777 == 0o600
    assert os.stat(server.directory).st_mode & 0o777 == 0o700
