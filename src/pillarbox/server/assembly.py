"""The server put together: the only place that names a home of the store and knows every room.

Order of the start: ports, store, certificates, then connections; a port that answers is a port that works.
"""

import asyncio
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pillarbox.access.exposure import Exposures
from pillarbox.access.kept import Kept
from pillarbox.access.service import Access
from pillarbox.net.admission import AdmissionLimits
from pillarbox.net.connections import ConnectionLimits, Connections, Service
from pillarbox.net.listener import Listener, bind
from pillarbox.net.observer import Observer, Silent
from pillarbox.net.tls import CertificateFiles
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.server.administration import Administration, Refusal
from pillarbox.server.authority import local_certificate
from pillarbox.server.certificates import CertificateError, CertificateWatch, read_expiry, read_names
from pillarbox.server.config import ConfigError
from pillarbox.server.control import NAME as CONTROL_SOCKET
from pillarbox.server.control import ControlServer
from pillarbox.server.measures import Measures
from pillarbox.server.notice import Notices
from pillarbox.server.services import Parts, access_policy, make_services, metrics_service, transfer_policy
from pillarbox.server.settings import Config
from pillarbox.server.storage_place import network_file_system, objection
from pillarbox.store.api import Store, StoreError
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.transfer.checks.rate import Sent
from pillarbox.transfer.delivery import AddressBook

if TYPE_CHECKING:
    from pillarbox.server.relaying import Relaying

Tell = Callable[..., None]
"""Says what happened to the server itself: an event name and facts."""


def _tell_nobody(_event: str, /, **_facts: Any) -> None:
    """Nobody listens."""


NEEDS_RESTART = ("host_name", "data", "network_storage_because", "user", "listeners", "metrics")
"""Settings that a running server does not change: they are in sockets, greetings and trace fields already."""


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


class Server:
    """One server. `bind` may be called before privileges are dropped; `start` does it otherwise.

    `store` replaces the embedded one. `sockets` are listening sockets by listener name, from systemd. `room`: how many
    connections the process has descriptors for. `measures`: whoever gives it counts what `observer` and `tell` hear.
    """

    def __init__(
        self,
        config: Config,
        *,
        store: Store | None = None,
        observer: Observer | None = None,
        tell: Tell = _tell_nobody,
        sockets: dict[str, list[socket.socket]] | None = None,
        room: int | None = None,
        measures: Measures | None = None,
    ) -> None:
        self.config = config
        self.host_name = config.host_name or socket.getfqdn()
        self.directory = Path(config.data)
        self._store = store
        self._observer: Observer = observer or Silent()
        self._tell = tell
        self._room = room
        self.measures = measures or Measures()
        self._sockets = dict(sockets or {})
        self._listeners: dict[str, Listener] = {}
        self._connections: Connections | None = None
        self._control: ControlServer | None = None
        self._access: Access | None = None
        self._locks = MaildropLocks()
        self._sent = Sent()
        self._relaying: Relaying | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener is: (host, port) of its first socket."""
        return {name: sockets[0].getsockname()[:2] for name, sockets in self._sockets.items() if sockets}

    @property
    def store(self) -> Store:
        """The store, after the start."""
        if self._store is None:
            raise RuntimeError("the server has not been started")
        return self._store

    @property
    def certificate_authority(self) -> Path | None:
        """The file that clients have to trust; None when the certificate was configured."""
        return None if self.config.tls.certificate else self.directory / "ca.pem"

    def bind(self) -> None:
        """Open the ports. Raises BindError, and then none is open."""
        try:
            for name, listener in self.config.listeners.named().items():
                if listener.enabled and name not in self._sockets:
                    self._sockets[name] = bind(listener.host, listener.port)
            page = self.config.metrics
            if page.enabled and "metrics" not in self._sockets:
                self._sockets["metrics"] = bind(page.host, page.port)
        except Exception:
            self._close_sockets()
            raise

    async def start(self) -> None:
        """Serve. Raises BindError, StartError; then nothing is left open."""
        self.bind()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self._check_place()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._store is None:
            try:
                self._store = await EmbeddedStore.open(self.directory, observer=self._tell)
            except StoreError as error:
                raise StartError(str(error)) from error
        await self._add_domains()
        self._access = Access(
            self._store.directory, access_policy(self.config), secret=_kept_secret(self.directory / "access.key")
        )
        kept = Kept(self._access.throttle, self.directory, self._tell)
        kept.load()
        self._start_task("throttle", kept.run())
        self._connections = connections = Connections(
            observer=self._observer, limits=self._patience(), admission=self._admission_limits()
        )
        services = self._make_services()
        try:
            self._load_certificates(services)
        except (OSError, ssl.SSLError, CertificateError) as error:
            raise StartError(f"the certificate cannot be used: {error}") from error
        self._listeners = {
            name: Listener(service, self._sockets[name], connections) for name, service in services.items()
        }
        await self._start_control()
        await self._start_relaying()
        watch = CertificateWatch(self.reload_certificates, self._renew, self._certificate_paths)
        self._start_task("certificates", watch.run())
        notices = Notices(self._store, self.host_name, lambda: self.addresses, self._tell)
        exposures = Exposures(self._access, notices.password_exposed)
        self._access.in_clear = exposures.note
        self._start_task("exposures", exposures.run())
        for listener in self._listeners.values():
            await listener.start()
        self._tell("started", **{name: f"{host}:{port}" for name, (host, port) in self.addresses.items()})

    def _check_place(self) -> None:
        reason = self.config.network_storage_because
        if why_not := objection(self.directory):
            if not reason:
                raise StartError(why_not)
            self._tell("network_storage", kind=network_file_system(self.directory), because=reason)

    async def stop(self) -> None:
        """Let running commands end, say goodbye, close everything. Fine at any time, also after a failed start."""
        for listener in self._listeners.values():
            listener.stop()
        if self._connections is not None:
            cut_off = await self._connections.shut_down(self.config.limits.shutdown_patience)
            self._tell("connections_closed", cut_off=cut_off)
        await self._stop_relaying()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._control is not None:
            await self._control.stop()
        if self._access is not None:
            self._access.close()
        if isinstance(self._store, EmbeddedStore):
            await self._store.placements.finish()
        if self._store is not None:
            await self._store.close()
        self._close_sockets()
        self._listeners, self._connections, self._control = {}, None, None
        self._tasks.clear()
        self._tell("stopped")

    def hurry(self) -> None:
        """During `stop`: cut off what still runs."""
        if self._connections is not None:
            self._connections.cut_off()

    async def reconfigure(self, wanted: Config) -> bool:
        """Serve new connections by another configuration; whether that worked. Ports, names and places need a restart:
        what changed there is said and not done."""
        before, relaying = self.config, self._relaying is not None
        for name in NEEDS_RESTART:
            if getattr(before, name) != getattr(wanted, name):
                self._tell("config_needs_restart", key=name)
        self.config = msgspec.structs.replace(wanted, **{name: getattr(before, name) for name in NEEDS_RESTART})
        try:
            services = self._make_services()
            self._load_certificates(services)
            await self._add_domains()
            relay = self.config.relay
            passwords = any(smarthost.password_file for smarthost in (relay.smarthost, *relay.routes))  # maybe new ones
            if passwords or (before.relay, before.dns) != (relay, self.config.dns):
                await self._stop_relaying()
                await self._start_relaying()
        except (OSError, ssl.SSLError, CertificateError, StoreError, StartError) as error:
            self.config = before
            if relaying and self._relaying is None:
                await self._start_relaying()
            self._tell("config_not_reloaded", reason=str(error))
            return False
        for name, listener in self._listeners.items():
            listener.service = services[name]
        if self._access is not None:
            self._access.change(access_policy(self.config))
        if self._connections is not None:
            self._connections.limits = self._patience()
            self._connections.admission.limits = self._admission_limits()
        self._tell("config_reloaded")
        return True

    async def reload_certificates(self) -> bool:
        """Serve the certificates that lie on disk now to new connections; whether that worked."""
        try:
            self._load_certificates({name: listener.service for name, listener in self._listeners.items()})
        except (OSError, ssl.SSLError, CertificateError) as error:
            self._tell("certificates_not_reloaded", reason=str(error))
            return False
        self._tell("certificates_loaded", files=[str(path) for path in self._certificate_paths()])
        return True

    async def metrics(self) -> str:
        """What is counted and measured, for Prometheus."""
        throttle = self._access.throttle if self._access is not None else None
        return await self.measures.page(self._connections, self.store, throttle)

    # --- what the configuration becomes ---------------------------------------------------------------------------------

    def _make_services(self) -> dict[str, Service]:
        if self._access is None:
            raise RuntimeError("the server has not been started")
        services = make_services(Parts(self.config, self.host_name, self.store, self._access, self._locks, self._sent))
        if self.config.metrics.enabled:
            services["metrics"] = metrics_service(self.metrics)
        return services

    def _admission_limits(self) -> AdmissionLimits:
        limits = self.config.limits
        return AdmissionLimits(
            min(limits.connections, self._room or limits.connections),
            limits.connections_per_address,
            limits.before_login,
            limits.before_login_per_address,
            limits.connections_per_account,
            limits.incoming,
            limits.incoming_per_address,
        )

    def _patience(self) -> ConnectionLimits:
        limits = self.config.limits
        return ConnectionLimits(message=limits.message_patience, slowest=limits.slowest_rate)

    async def _add_domains(self) -> None:
        for domain in self.config.domains:
            if not await self.store.directory.is_local(domain):
                await self.store.directory.add_domain(domain)

    # --- certificates -------------------------------------------------------------------------------------------------

    def _load_certificates(self, services: Mapping[str, Service]) -> None:
        files = self._certificate_files()
        self.measures.certificates = {
            str(number) if number else "main": read_expiry(each.certificate) for number, each in enumerate(files)
        }
        for service in services.values():
            if service.tls is not None:
                service.tls.load(files)

    def _certificate_files(self) -> list[CertificateFiles]:
        tls = self.config.tls
        if tls.certificate:
            first = CertificateFiles(Path(tls.certificate), Path(tls.key), read_names(Path(tls.certificate)))
        else:
            first = self._renew()
        more = [
            CertificateFiles(
                Path(entry.certificate), Path(entry.key), tuple(entry.names) or read_names(Path(entry.certificate))
            )
            for entry in tls.more
        ]
        return [first, *more]

    def _renew(self) -> CertificateFiles:
        """The local authority's certificate, a new one when it gets old; the watch then sees the file change."""
        tls = self.config.tls
        if tls.certificate:
            return CertificateFiles(Path(tls.certificate), Path(tls.key))
        names = tuple(dict.fromkeys((self.host_name, *tls.local_names)))
        return local_certificate(self.directory, names)

    def _certificate_paths(self) -> Sequence[Path]:
        tls = self.config.tls
        first = (
            [Path(tls.certificate), Path(tls.key)]
            if tls.certificate
            else [self.directory / "server.pem", self.directory / "server.key"]
        )
        return [*first, *(Path(p) for entry in tls.more for p in (entry.certificate, entry.key))]

    # --- relay --------------------------------------------------------------------------------------------------------

    async def _stop_relaying(self) -> None:
        if self._relaying is not None:
            await self._relaying.stop()
            self._relaying = None

    async def _start_relaying(self) -> None:
        """Unless all mail for other domains stays here: then nothing leaves, no question to the DNS either."""
        if self.config.relay.everything_to:
            return
        from pillarbox.server.relaying import Relaying, own_addresses  # dnspython is slow to import

        book = AddressBook(self.store.directory, transfer_policy(self.config, self.host_name))
        own = await own_addresses(self.addresses.get("smtp"), self.config.relay.port)
        try:
            self._relaying = Relaying(self.config, self.host_name, self.store, book, self._tell, own_addresses=own)
        except (ConfigError, OSError) as error:
            raise StartError(f"outgoing mail cannot be set up: {error}") from error
        self._relaying.start()

    def _start_task(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Work that goes on until `stop`."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_end)
        self._tasks.append(task)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell("bug", text=f"the task {task.get_name()} ended", error=error)

    # --- control ------------------------------------------------------------------------------------------------------

    async def _start_control(self) -> None:
        def bug(verb: str, error: Exception) -> None:
            self._tell("control_bug", verb=verb, error=error)

        throttle = self._access.throttle if self._access is not None else None
        administration = Administration(self.store, throttle=throttle, metrics=self.metrics)
        self._control = ControlServer(self.directory / CONTROL_SOCKET, administration.perform, refusal=Refusal, bug=bug)
        await self._control.start()

    def _close_sockets(self) -> None:
        for sockets in self._sockets.values():
            for listening in sockets:
                listening.close()
        self._sockets.clear()


def _kept_secret(path: Path) -> bytes:
    """32 random octets that stay the same over restarts."""
    try:
        kept = path.read_bytes()
        if len(kept) == 32:
            return kept
    except FileNotFoundError:
        pass
    fresh = secrets.token_bytes(32)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(fresh)
    temporary.replace(path)
    return fresh
