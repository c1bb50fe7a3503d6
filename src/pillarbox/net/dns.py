"""Asks the DNS (dnspython, asyncio), with a cache that honours TTLs, negative answers included (RFC 2308).

Security: answers come from strangers. Their sizes are bounded by the protocol, the cache by a count, the time by a limit.
The AD bit counts only when it comes from a name server on this machine: on the way from elsewhere anyone can set it.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from pillarbox.mailauth.dns import Answer, DnsUnavailable, Existence, Mx, Tlsa
from pillarbox.wire.engine import Emit

Record = TypeVar("Record")

CACHED = 20_000
"""Answers kept: a few megabytes."""

AT_A_TIME = 200
"""Questions on their way at a time; more wait, so that a burst of mail does not use up all file descriptors."""


@dataclass(frozen=True, slots=True)
class DnsPolicy:
    """`servers`: IP addresses and ports, empty for those of the system (/etc/resolv.conf). `timeout`: seconds for one
    question, all servers and repetitions included. `trust_authentic`: whether the AD bit counts; None: from loopback
    servers only."""

    servers: tuple[tuple[str, int], ...] = ()
    timeout: float = 10.0
    trust_authentic: bool | None = None


def _silent(_event: str, /, **_facts: Any) -> None:
    """Nobody listens."""


class DnsResolver:
    """Implements `mailauth.dns.Resolver`. `emit` hears of questions that got no answer."""

    def __init__(self, policy: DnsPolicy = DnsPolicy(), *, emit: Emit = _silent) -> None:
        self._emit = emit
        resolver = _resolver(policy.servers)
        resolver.lifetime = policy.timeout
        resolver.search = []
        resolver.cache = dns.resolver.LRUCache(CACHED)
        resolver.use_edns(0, dns.flags.DO, 1232)  # 1232 octets pass every path unfragmented
        resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver = resolver
        self._trusted = policy.trust_authentic
        if self._trusted is None:
            self._trusted = all(_is_loopback(server) for server in resolver.nameservers)
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._asked: dict[tuple[str, str], asyncio.Task[dns.resolver.Answer]] = {}

    async def mx(self, domain: str) -> Answer[Mx]:
        return await self._ask(domain, "MX", lambda r: Mx(r.preference, _host(r.exchange)))

    async def a(self, host: str) -> Answer[str]:
        return await self._ask(host, "A", lambda r: str(r.address))

    async def aaaa(self, host: str) -> Answer[str]:
        return await self._ask(host, "AAAA", lambda r: str(ipaddress.ip_address(r.address)))

    async def txt(self, name: str) -> Answer[bytes]:
        return await self._ask(name, "TXT", lambda r: b"".join(r.strings))

    async def ptr(self, address: str) -> Answer[str]:
        try:
            name = dns.reversename.from_address(address).to_text()
        except (dns.exception.SyntaxError, ValueError):
            return Answer(Existence.NO_NAME)
        return await self._ask(name, "PTR", lambda r: _host(r.target))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return await self._ask(name, "TLSA", lambda r: Tlsa(r.usage, r.selector, r.mtype, bytes(r.cert)))

    async def _ask(self, name: str, kind: str, record: Callable[[Any], Record]) -> Answer[Record]:
        try:
            found = await self._shared(name.lower().rstrip("."), kind)
        except dns.resolver.NXDOMAIN as error:
            return Answer(Existence.NO_NAME, authentic=self._all_authentic(error))
        except dns.resolver.NoAnswer as error:
            return Answer(Existence.NO_DATA, authentic=self._is_authentic(error.kwargs.get("response")))
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            return Answer(Existence.NO_NAME)  # no such name can exist
        except (dns.exception.DNSException, OSError) as error:
            reason = _reason(error)
            self._emit("dns_failed", question=f"{kind} {name}", kind=_kind(error), reason=reason)
            raise DnsUnavailable(reason) from None
        ttl = found.rrset.ttl if found.rrset is not None else 0
        records = tuple(record(r) for r in found)
        return Answer(Existence.FOUND, records, self._is_authentic(found.response), ttl)

    async def _shared(self, name: str, kind: str) -> dns.resolver.Answer:
        """A thousand messages for one domain ask once, not a thousand times."""
        task = self._asked.get((name, kind))
        if task is None:
            task = self._asked[name, kind] = asyncio.create_task(self._resolve(name, kind))
            task.add_done_callback(lambda done: self._forget((name, kind), done))
        return await asyncio.shield(task)

    def _forget(self, key: tuple[str, str], done: "asyncio.Task[dns.resolver.Answer]") -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone

    async def _resolve(self, name: str, kind: str) -> dns.resolver.Answer:
        async with self._slots:
            return await self._resolver.resolve(name + ".", kind, search=False)

    def _is_authentic(self, response: Any) -> bool:
        return bool(self._trusted and response is not None and response.flags & dns.flags.AD)

    def _all_authentic(self, error: dns.resolver.NXDOMAIN) -> bool:
        responses = error.kwargs.get("responses") or {}
        return bool(responses) and all(self._is_authentic(r) for r in responses.values())


def _resolver(servers: tuple[tuple[str, int], ...]) -> dns.asyncresolver.Resolver:
    if not servers:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            servers = (("127.0.0.1", 53),)  # as the C library does without /etc/resolv.conf
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    return resolver


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _is_loopback(server: str | dns.nameserver.Nameserver) -> bool:
    address = server.address if isinstance(server, dns.nameserver.Do53Nameserver) else str(server)
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _kind(error: Exception) -> str:
    """The same in a word, one of few."""
    match error:
        case dns.resolver.LifetimeTimeout():
            return "timeout"
        case dns.resolver.NoNameservers():
            return "servfail"
        case _:
            return "other"


def _reason(error: Exception) -> str:
    match error:
        case dns.resolver.LifetimeTimeout():
            return "the name servers did not answer in time"
        case dns.resolver.NoNameservers():
            return "the name servers answered with an error (SERVFAIL, REFUSED or a DNSSEC failure)"
        case _:
            return type(error).__name__
