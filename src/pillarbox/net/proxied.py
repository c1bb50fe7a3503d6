"""Connections that come through a proxy: its header is read first, then they go on as the client's (wire/proxy_header.py).

Security: on such a listener nobody else gets in. Whoever is not in the configured networks is refused, and who is there must
send the header: to guess whether there is one would let clients choose their address (§2 of the specification).
"""

import asyncio
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, cast

from pillarbox.net.connection import Connection
from pillarbox.net.connections import Connections, Service
from pillarbox.wire.engine import Link
from pillarbox.wire.proxy_header import BadHeader, parse

PATIENCE = 5.0
"""Seconds for the header: a proxy sends it at once, and one lost segment is sent again after three (§2)."""

MAX_WAITING = 500
"""Connections at once whose header has not come."""

Networks = tuple[IPv4Network | IPv6Network, ...]


class ProxiedConnection(asyncio.Protocol):
    """Until the header is complete. `waiting` holds all those that are not."""

    __slots__ = ("_all", "_header", "_link", "_service", "_timer", "_transport", "_waiting")

    def __init__(self, service: Service, connections: Connections, waiting: "set[ProxiedConnection]") -> None:
        self._service = service
        self._all = connections
        self._waiting = waiting
        self._header = b""
        self._timer: asyncio.TimerHandle | None = None
        self._link = Link()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is here: a proxy, or somebody who has no business to be."""
        self._transport = cast(asyncio.Transport, transport)
        peer, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._link = Link(peer, port, id=self._all.next_id())
        if not is_proxy(peer, self._service.proxies):
            self._refuse(f"{peer} is not in `listeners.{self._service.name}.proxy_from`")
        elif len(self._waiting) >= MAX_WAITING:
            self._refuse("too many connections have not sent the header of the PROXY protocol")
        else:
            self._waiting.add(self)
            self._timer = self._all.loop.call_later(PATIENCE, self._refuse, "no header of the PROXY protocol came")

    def data_received(self, octets: bytes) -> None:
        """The header, or a part of it, and maybe what the client said first."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._header += octets
        try:
            header = parse(self._header)
        except BadHeader as error:
            self._refuse(str(error))
            return
        if header is None:
            return
        self._leave()
        connection = Connection(self._service, self._all, header.origin)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if rest := self._header[header.length :]:
            connection.data_received(rest)

    def connection_lost(self, _error: Exception | None) -> None:
        """Gone before the header was complete."""
        self._leave()

    def abort(self) -> None:
        """The server stops."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        self._waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _refuse(self, reason: str) -> None:
        self._all.traffic[self._service.name].refused += 1
        facts: dict[str, Any] = {"service": self._service.name, "reason": reason}
        self._all.observer.emit(self._link, "proxy_refused", facts)
        self.abort()


def is_proxy(peer: str, networks: Networks) -> bool:
    """Whether an IP address (as text) is in one of the networks."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in networks)
