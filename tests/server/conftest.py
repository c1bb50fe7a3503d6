"""A whole server on free ports of loopback."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server
from pillarbox.server.settings import Config, Listeners, Relay, Tls

PASSWORD = "correct horse battery"


def loopback_config(directory: Path) -> Config:
    """Every port enabled, any free one, on 127.0.0.1."""
    listeners = {
        name: msgspec.structs.replace(listener, host="127.0.0.1", port=0)
        for name, listener in Listeners().named().items()
    }
    return Config(
        host_name="mail.example.test",
        data=str(directory),
        domains=["example.test"],
        listeners=Listeners(**listeners),
        tls=Tls(local_names=["localhost", "127.0.0.1"]),
        relay=Relay(everything_to="world@example.test"),
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Running, with the account alice@example.test."""
    running = Server(loopback_config(tmp_path / "data"))
    await running.start()
    for name in ("alice", "world"):
        await running.store.directory.add_account(f"{name}@example.test", hash_password(Secret(PASSWORD)))
    yield running
    await running.stop()


@pytest.fixture
def trust(server: Server) -> ssl.SSLContext:
    """What a client that trusts the server's own authority has."""
    return ssl.create_default_context(cafile=str(server.certificate_authority))
