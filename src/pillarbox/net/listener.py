"""Listening sockets: bound by name and port, or handed over by systemd; and the servers on them."""

import asyncio
import errno
import os
import socket
from collections.abc import MutableMapping, Sequence

from pillarbox.net.connection import Connection
from pillarbox.net.connections import Connections, Service
from pillarbox.net.proxied import ProxiedConnection

BACKLOG = 512
"""Connections the kernel may hold for us while the loop is busy."""

KEEPALIVE_IDLE = 120
KEEPALIVE_INTERVAL = 30
KEEPALIVE_PROBES = 4
"""Seconds, seconds, number: a dead peer is noticed after four minutes, and address translators keep the flow."""

_FIRST_INHERITED = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START


_SPECIAL = {
    "": [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)],  # noqa: S104
    "*": [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)],  # noqa: S104
    "localhost": [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)],  # RFC 6761 §6.3, whatever /etc/hosts says
}
"""Names that stand for both address families; IPv6 where the machine has it."""


class BindError(Exception):
    """A port cannot be listened on; the text says why and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address that `host` stands for; "*" or "" is all of IPv4 and IPv6. Port 0: any free one, the same
    for all. Raises BindError."""
    addresses = _SPECIAL.get(host) or _resolve(host, port)
    for last_try in (False, False, False, True):
        sockets: list[socket.socket] = []
        chosen = port
        try:
            for address, family in addresses:
                bound = _bind_one(address, family, chosen, optional=bool(sockets) and family == socket.AF_INET6)
                if bound is not None:
                    sockets.append(bound)
                    chosen = bound.getsockname()[1]
        except BindError as error:
            for bound in sockets:
                bound.close()
            taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
            if port or last_try or not (sockets and taken):
                raise
            continue  # the free port of one family was taken in the other: try another
        return sockets
    raise AssertionError("unreachable")


def _resolve(host: str, port: int) -> list[tuple[str, socket.AddressFamily]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindError(f"cannot listen on {host}: no such host name or address ({error.strerror})") from error
    return list(dict.fromkeys((str(entry[4][0]), entry[0]) for entry in found))


def _bind_one(address: str, family: socket.AddressFamily, port: int, *, optional: bool) -> socket.socket | None:
    try:
        # With another proto than TCP, asyncio leaves Nagle's algorithm on and each reply waits 40 ms.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        if optional:
            return None  # a machine without IPv6
        raise BindError(_explain(error, address, port)) from error
    try:
        prepare(bound)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if optional and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None
        raise BindError(_explain(error, address, port)) from error
    return bound


def prepare(listening: socket.socket) -> None:
    """Options that every accepted connection inherits, so that they cost nothing per connection."""
    listening.settimeout(0)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, name):  # not every system has all three
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _explain(error: OSError, address: str, port: int) -> str:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                f"cannot listen on {where}: port {port} needs root (then set `user` to drop to), the capability "
                "CAP_NET_BIND_SERVICE, or systemd socket activation; or choose a port above 1023"
            )
        case errno.EADDRINUSE:
            return (
                f"cannot listen on {where}: another program uses port {port}; `ss -ltnp 'sport = :{port}'` shows which. "
                "Stop it, or choose another port"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {where}: {address} is not an address of this machine; `ip address` lists them"
        case _:
            return f"cannot listen on {where}: {error.strerror or error}"


def inherited(environment: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """Sockets that systemd opened for this process, by FileDescriptorName; the variables are removed, so that no child
    takes them for its own. Raises BindError when one is not a listening TCP socket."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for index in range(int(count)):
        name = names[index] if index < len(names) else ""
        descriptor = _FIRST_INHERITED + index
        try:
            given = socket.socket(fileno=descriptor)
            listening = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise BindError(f"descriptor {descriptor} ({name}) from systemd is not a socket") from error
        if not listening or given.proto not in (0, socket.IPPROTO_TCP):
            raise BindError(f"descriptor {descriptor} ({name}) from systemd is not a listening TCP socket")
        given.set_inheritable(False)
        prepare(given)
        found.setdefault(name, []).append(given)
    return found


class Listener:
    """One service on its sockets."""

    def __init__(self, service: Service, sockets: Sequence[socket.socket], connections: Connections) -> None:
        self.service = service
        self._sockets = list(sockets)
        self._connections = connections
        connections.traffic[service.name]  # none yet, which is to be seen
        self._servers: list[asyncio.Server] = []
        self._without_header: set[ProxiedConnection] = set()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: (host, port) of each socket, as long as it is open."""
        return [s.getsockname()[:2] for s in self._sockets]

    async def start(self) -> None:
        """Accept connections from now on."""
        for listening in self._sockets:
            self._servers.append(
                await self._connections.loop.create_server(self._accept, sock=listening, backlog=BACKLOG)
            )

    def _accept(self) -> asyncio.Protocol:
        if self.service.proxies:
            return ProxiedConnection(self.service, self._connections, self._without_header)
        return Connection(self.service, self._connections)

    def stop(self) -> None:
        """Accept no more; connections that stand are not touched."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._without_header):
            connection.abort()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()
