"""A small authoritative DNS server on loopback, over UDP and TCP: zones are a table that tests fill.

    async with DnsServer({("them.test", "MX"): ["10 mx.them.test."]}) as server:
        resolver = DnsResolver(DnsPolicy(((server.host, server.port),)))

A name with no entry at all is NXDOMAIN, one with others NODATA. `silent` names get no answer, `broken` ones SERVFAIL, those
in `lies` whatever is made there of the honest response (None: silence).
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Iterable[str]]
TTL = 300
MAX_UDP = 1232
Lie = Callable[[dns.message.Message, str], bytes | None]
"""Makes an answer of the honest response, for "udp" or "tcp"."""


class DnsServer:
    """See the module. `queries` counts what was asked, as (name, type, "udp" or "tcp")."""

    def __init__(self, zone: Zone | None = None, *, host: str = "127.0.0.1", authentic: bool = False) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {k: list(v) for k, v in (zone or {}).items()}
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.lies: dict[str, Lie] = {}
        self.queries: list[tuple[str, str, str]] = []
        self.authentic = authentic
        self.ttl = TTL
        self.host = host
        self.port = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def __aenter__(self) -> "DnsServer":
        loop = asyncio.get_running_loop()
        for _ in range(20):  # the same port must be free for both
            self._tcp = await asyncio.start_server(self._serve, self.host, 0)
            self.port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self.host, self.port)
                )
            except OSError:
                self._tcp.close()
                continue
            return self
        raise OSError("no port is free for UDP and TCP at once")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()

    def answer(self, octets: bytes, how: str) -> bytes | None:
        """The response to one query; None for silence."""
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, kind, how))
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA | (dns.flags.AD if self.authentic else 0)
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", kind, records))
        elif alias := self.zone.get((name, "CNAME")):
            response.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", "CNAME", alias))
            target = alias[0].rstrip(".")
            if records := self.zone.get((target, kind)):
                response.answer.append(dns.rrset.from_text_list(alias[0], self.ttl, "IN", kind, records))
        else:
            if not any(known == name or known.endswith("." + name) for known, _ in self.zone):
                response.set_rcode(dns.rcode.NXDOMAIN)
            soa = f"ns.{name}. hostmaster.{name}. 1 60 60 60 {self.ttl}"
            response.authority.append(dns.rrset.from_text(question.name, self.ttl, "IN", "SOA", soa))
        if name in self.lies:
            return self.lies[name](response, how)
        wire = response.to_wire(max_size=65535)
        if how == "udp" and len(wire) > MAX_UDP:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return wire

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), "tcp")
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # it is one, whatever its class says

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, "udp")
        if answer is not None:
            self._transport.sendto(answer, addr)
