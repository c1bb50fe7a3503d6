"""The relay put together: the queue's runner, the SMTP client behind it, and the DNS it asks, by the configuration."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from pillarbox.mail.address import normalise_domain
from pillarbox.net.dns import DnsPolicy, DnsResolver
from pillarbox.net.smtp_sender import SenderPolicy, SmtpSender
from pillarbox.queue.policy import Policy, Schedule, Smarthost
from pillarbox.queue.runner import QueueRunner
from pillarbox.sasl.secret import Secret
from pillarbox.server import settings
from pillarbox.server.config import ConfigError, name_servers
from pillarbox.server.settings import Config
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode
from pillarbox.store.api import Store
from pillarbox.transfer.confirmation import locator
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.queue_id import fresh_queue_id

_TLS_MODES = {"implicit": TlsMode.IMPLICIT, "starttls": TlsMode.REQUIRED, "none": TlsMode.NONE}


class Relaying:
    """Runs the queue until `stop`. `own_addresses`: where this server itself answers at the relay's port.

    `verified` is the context that a smarthost's certificate is checked with.
    """

    def __init__(
        self,
        config: Config,
        host_name: str,
        store: Store,
        book: AddressBook,
        tell: Callable[..., None],
        *,
        own_addresses: frozenset[str] = frozenset(),
        verified: ssl.SSLContext | None = None,
    ) -> None:
        sender_policy = SenderPolicy(ClientPolicy(host_name))
        self._sender = SmtpSender(sender_policy, verified=verified)
        self._runner = QueueRunner(
            store,
            self._sender,
            DnsResolver(DnsPolicy(name_servers(config)), emit=tell),
            queue_policy(config, host_name, own_addresses),
            locate=locator(book),
            emit=tell,
            new_id=fresh_queue_id,
        )
        self._tell = tell
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to relay."""
        self._task = asyncio.create_task(self._runner.run(), name="queue")
        self._task.add_done_callback(self._on_end)

    async def stop(self) -> None:
        """Let running attempts finish for a moment, then leave every server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._sender.close()

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell("bug", text="relaying ended", error=error)


def queue_policy(config: Config, host_name: str, own_addresses: frozenset[str]) -> Policy:
    """How mail is relayed. Raises ConfigError when the smarthost's password cannot be read."""
    relay = config.relay
    return Policy(
        host_name=host_name,
        port=relay.port,
        smarthost=_smarthost("relay.smarthost", relay.smarthost),
        smarthosts={
            normalise_domain(domain): _smarthost(f"relay.routes[{number}]", entry)
            for number, entry in enumerate(relay.routes)
            for domain in entry.domains
        },
        own_names=frozenset({host_name.lower()}),
        own_addresses=own_addresses,
        schedule=Schedule(
            first=relay.first_wait,
            longest=relay.longest_wait,
            lifetime=relay.give_up_after,
            warn_after=relay.warn_after,
        ),
    )


def _smarthost(key: str, given: settings.Smarthost) -> Smarthost | None:
    if not given.host:
        return None
    login = None
    if given.username:
        login = Login(given.username, _password(f"{key}.password_file", Path(given.password_file)))
    return Smarthost(given.host, given.port, _TLS_MODES[given.security], login)


def _password(key: str, path: Path) -> Secret:
    try:
        line = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"`{key}`: {path} cannot be read: {reason}") from None
    if not line:
        raise ConfigError(f"`{key}`: the first line of {path} is empty")
    return Secret(line)


async def own_addresses(smtp: tuple[str, int] | None, port: int) -> frozenset[str]:
    """Addresses at which a relay to `port` would meet this server itself."""
    if smtp is None or smtp[1] != port:
        return frozenset()
    if smtp[0] not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return frozenset((smtp[0],))
    looking = asyncio.get_running_loop().getaddrinfo(socket.gethostname(), None)
    try:
        async with asyncio.timeout(2.0):
            found = {str(entry[4][0]) for entry in await looking}
    except OSError:  # TimeoutError is one
        found = set()
    return frozenset(found | {"127.0.0.1", "::1"})
