"""Pillarbox as `pillarbox serve` starts it, on its embedded default, logging to a file as the peers do."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.stack import DOMAIN, PASSWORD, Stack, account, certificate, free_port
from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.control import NAME, call
from pillarbox.store.embedded import EmbeddedStore

_CONFIG = """
host_name = "mail.{domain}"
domains = ["{domain}"]
data = "{directory}/data"
[tls]
certificate = "{directory}/cert.pem"
key = "{directory}/key.pem"
[limits]
connections = 20000
connections_per_address = 20000
before_login = 20000
before_login_per_address = 20000
[submission]
recipients_per_hour = 0
recipients_per_day = 0
[relay.smarthost]
host = "127.0.0.1"
port = {relay_port}
security = "none"
[listeners]
submission.enabled = false
"""


class Pillarbox(Stack):
    """The server as one child process."""

    name = "Pillarbox"
    start_seconds = 0.0
    """From the start of the process until every port answered."""

    def __init__(
        self, directory: Path, accounts: int, *, prepare: Callable[[EmbeddedStore], Awaitable[None]] | None = None
    ) -> None:
        """`prepare` fills the store before the server opens it."""
        self.directory = directory
        self.accounts = accounts
        self._prepare = prepare
        self.ports = {name: free_port() for name in ("smtp", "submissions", "imap", "imaps", "pop3", "pop3s")}
        self.relay_port = free_port()

    def fresh(self, directory: Path, accounts: int, *, indexed: bool) -> "Pillarbox":
        """Another; the index is always there."""
        return Pillarbox(directory, accounts)

    def start(self) -> None:
        """Make the accounts, write the configuration and start; returns when every port answers."""
        self.directory.mkdir()
        self.ca = certificate(self.directory)
        config = self.directory / "pillarbox.toml"
        listeners = "".join(f'{name}.host = "127.0.0.1"\n{name}.port = {port}\n' for name, port in self.ports.items())
        config.write_text(
            _CONFIG.format(domain=DOMAIN, directory=self.directory, relay_port=self.relay_port) + listeners
        )
        asyncio.run(self._make_accounts())
        with (self.directory / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pillarbox", "serve", "--config", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self.roots = [self.process.pid]
        began = time.perf_counter()
        self.wait_for_ports()
        self.start_seconds = time.perf_counter() - began

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def behind(self) -> int:
        """Of all accounts: the index rests between its steps, on a busy machine for seconds."""
        status = call(self.directory / "data" / NAME, "index_status", {}) or {}
        return sum(each["waiting"] for each in status["accounts"])

    def index_octets(self) -> int:
        """Of the full-text index."""
        return sum(path.stat().st_size for path in (self.directory / "data").glob("text.sqlite*"))

    async def _make_accounts(self) -> None:
        store = await EmbeddedStore.open(self.directory / "data")
        await store.directory.add_domain(DOMAIN)
        hashes = hash_password(Secret(PASSWORD))  # one for all: making it is not what is measured
        for n in range(self.accounts):
            await store.directory.add_account(account(n), hashes)
        if self._prepare is not None:
            await self._prepare(store)
        await store.close()
