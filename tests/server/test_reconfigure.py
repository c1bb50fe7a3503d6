"""A new configuration for a server that runs."""

import asyncio
import smtplib
import ssl
import time
from pathlib import Path

import msgspec
from tests.server.conftest import loopback_config

from pillarbox.access.policy import Policy
from pillarbox.server.assembly import Server
from pillarbox.server.services import access_policy
from pillarbox.server.settings import Access, Config, Limits, Relay, Smarthost, Submission, Tls
from pillarbox.transfer.checks.rate import RateCheck
from pillarbox.wire.engine import Link


def _announced_size(server: Server) -> int:
    with smtplib.SMTP(*server.addresses["smtp"], timeout=10) as client:
        client.ehlo("me")
        return int(client.esmtp_features["size"])


def _but(config: Config, **changes: object) -> Config:
    return msgspec.structs.replace(config, **changes)


async def test_new_connections_live_by_it(server: Server) -> None:
    assert await server.reconfigure(_but(server.config, limits=Limits(message_size=1_000_000), domains=["example.org"]))
    assert await asyncio.to_thread(_announced_size, server) == 1_000_000
    assert await server.store.directory.domains() == ["example.org", "example.test"]


async def test_ports_and_places_need_a_restart(tmp_path: Path) -> None:
    told: list[tuple[str, object]] = []
    server = Server(loopback_config(tmp_path), tell=lambda event, **facts: told.append((event, facts.get("key"))))
    await server.start()
    addresses = server.addresses
    assert await server.reconfigure(_but(server.config, host_name="other.example.test", data="/nowhere"))
    assert (server.config.host_name, server.config.data) == ("mail.example.test", str(tmp_path))
    assert server.addresses == addresses
    assert [key for event, key in told if event == "config_needs_restart"] == ["host_name", "data"]
    await server.stop()


async def test_what_does_not_work_changes_nothing(server: Server, trust: ssl.SSLContext) -> None:
    before = server.config
    bad_certificate = _but(before, tls=Tls("/nowhere.pem", "/nowhere.key"), limits=Limits(message_size=1_000_000))
    assert not await server.reconfigure(bad_certificate)
    smarthost = Smarthost("relay.example.org", username="me", password_file="/nowhere")
    assert not await server.reconfigure(_but(before, relay=Relay(smarthost=smarthost)))
    assert server.config is before
    assert await asyncio.to_thread(_announced_size, server) == before.limits.message_size
    reader, writer = await asyncio.open_connection(
        *server.addresses["imaps"], ssl=trust, server_hostname="mail.example.test"
    )
    assert (await reader.readline()).startswith(b"* OK")
    writer.close()


async def test_relaying_follows(tmp_path: Path) -> None:
    config = _but(loopback_config(tmp_path), relay=Relay(smarthost=Smarthost("127.0.0.1", 1, security="none")))
    server = Server(config)
    await server.start()
    first = server._relaying
    assert first is not None
    assert await server.reconfigure(_but(config, limits=Limits(recipients=200)))
    assert server._relaying is first, "not touched without need"
    bad = Relay(smarthost=Smarthost("127.0.0.1", username="me", password_file="/nowhere"))
    assert not await server.reconfigure(_but(config, relay=bad))
    assert server._relaying is not None
    assert await server.reconfigure(_but(config, relay=Relay(everything_to="world@example.test")))
    assert server._relaying is None
    await server.stop()


async def test_who_is_throttled_stays_so(server: Server) -> None:
    """A reload is no amnesty: neither for guessers nor for who wrote to very many."""
    assert server._access is not None
    for number in range(30):
        server._access.throttle.failed("203.0.113.7", f"name{number}", time.monotonic())
    server._sent.of(1)[0].add(time.monotonic(), 400)
    stricter = _but(server.config, access=Access(block_refill=600.0), submission=Submission(recipients_per_hour=300))
    assert await server.reconfigure(stricter)
    assert server._access.throttle.wait("203.0.113.7", "alice", time.monotonic()) > 500
    assert server._access.policy.block.refill == 600
    engine = server._listeners["submissions"].service.engine(Link())
    rate = next(c for c in engine._session.service.checks if isinstance(c, RateCheck))  # type: ignore[attr-defined]
    assert rate._sent is server._sent
    assert rate._sent.of(1)[0].wait(time.monotonic(), 1, 300) > 0


def test_the_settings_defaults_are_the_policy_s() -> None:
    assert access_policy(Config()) == Policy()
