"""HAProxy before the real server: both versions of the PROXY protocol, STARTTLS and TLS through it, and its health checks."""

import asyncio
import imaplib
import smtplib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.demo import PORTS, free_offset
from tests.interop.conftest import message, program

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server
from pillarbox.server.settings import Config, Listeners, Relay

pytestmark = pytest.mark.interop

ALICE, PASSWORD = "alice@example.test", "correct horse battery"
CLIENT = "127.0.0.5"
VERSIONS = {
    "send-proxy": "check-send-proxy",
    "send-proxy-v2": "check-send-proxy",
    "send-proxy-v2-ssl-cn": "check-send-proxy",
}


@dataclass
class Proxied:
    """A server, and where HAProxy passes each of its ports on."""

    server: Server
    ports: dict[str, int]
    events: list[tuple[str, str]]

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.server.certificate_authority))


class Events:
    """Who was connected, according to the server."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def emit(self, link: object, event: str, _facts: object) -> None:
        self.seen.append((event, getattr(link, "peer", "")))

    def tap(self, _link: object, _service: str) -> None:
        """No transcripts."""


def _configuration(servers: dict[str, tuple[str, int]], ports: dict[str, int], options: str) -> str:
    lines = ["defaults", "  mode tcp", "  timeout connect 5s", "  timeout client 30s", "  timeout server 30s"]
    for name, (host, port) in servers.items():
        lines += [f"listen {name}", f"  bind 127.0.0.1:{ports[name]}", f"  server one {host}:{port} {options}"]
    return "\n".join(lines) + "\n"


@pytest.fixture(params=VERSIONS)
async def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxied]:
    free = {
        name: msgspec.structs.replace(listener, host="127.0.0.1", port=0, proxy_from=["127.0.0.1/32"])
        for name, listener in Listeners().named().items()
    }
    config = Config(
        host_name="localhost", data=str(tmp_path / "data"), domains=["example.test"], listeners=Listeners(**free),
        relay=Relay(everything_to=ALICE),
    )  # fmt: skip
    events = Events()
    server = Server(config, observer=events)  # type: ignore[arg-type]
    await server.start()
    await server.store.directory.add_account(ALICE, hash_password(Secret(PASSWORD)))
    names = ("smtp", "submission", "imaps")
    offset = free_offset()
    ports = {name: PORTS[name] + offset for name in names}
    file = tmp_path / "haproxy.cfg"
    servers = {name: server.addresses[name] for name in names}
    file.write_text(_configuration(servers, ports, f"{request.param} check {VERSIONS[request.param]} inter 200"))
    process = subprocess.Popen([program("haproxy"), "-f", str(file), "-db"], stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while ("connected", "127.0.0.1") not in events.seen:  # its first health check came through
                await asyncio.sleep(0.02)
        yield Proxied(server, ports, events.seen)
    finally:
        process.terminate()
        process.wait(10)
        await server.stop()


async def test_round_trip_and_addresses(proxied: Proxied, token: str) -> None:
    def submit() -> None:
        source = (CLIENT, 0)
        with smtplib.SMTP("localhost", proxied.ports["submission"], source_address=source) as client:
            client.starttls(context=proxied.trust)
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, [ALICE], message(token, sender=ALICE, recipient=ALICE))
        with smtplib.SMTP("localhost", proxied.ports["smtp"], source_address=source) as client:
            client.sendmail("bob@far.example", [ALICE], message(token, sender="bob@far.example", recipient=ALICE))

    def read() -> list[bytes]:
        with imaplib.IMAP4_SSL("localhost", proxied.ports["imaps"], ssl_context=proxied.trust) as client:
            client.login(ALICE, PASSWORD)
            client.select("INBOX")
            return [item[1] for item in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(item, tuple)]

    await asyncio.to_thread(submit)
    found = await asyncio.to_thread(read)
    assert len(found) == 2
    assert f" ([{CLIENT}])\r\n".encode() in found[1]  # Received of what came from outside
    assert ("login", CLIENT) in proxied.events
    assert not [event for event, _ in proxied.events if event == "proxy_refused"]


async def test_nobody_gets_in_beside_the_proxy(proxied: Proxied) -> None:
    def beside() -> bytes:
        with socket.create_connection(
            proxied.server.addresses["smtp"], source_address=(CLIENT, 0), timeout=10
        ) as client:
            try:
                return client.recv(100)
            except ConnectionResetError:
                return b""

    assert await asyncio.to_thread(beside) == b""
    assert ("proxy_refused", CLIENT) in proxied.events
