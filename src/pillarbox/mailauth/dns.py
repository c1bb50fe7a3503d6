"""What is asked of the DNS, and how its answers look (RFC 1035, RFC 2308). Relaying and checks use it; `net.dns` asks.

Three ways not to get a record differ, and mixing them up loses mail: there is no such name, the name has no such
record, and nobody knows at the moment (`DnsUnavailable`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

Record = TypeVar("Record")


class Existence(Enum):
    """What the answer says about the name."""

    FOUND = "found"
    NO_DATA = "no data"
    NO_NAME = "no such name"


class DnsUnavailable(Exception):
    """No answer now: a time-out, SERVFAIL, REFUSED, a DNSSEC failure. Try again later; never proof of absence."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Record]):
    """`records` is empty unless FOUND. `authentic`: the resolver vouches by DNSSEC (the AD bit). `ttl` in seconds."""

    existence: Existence
    records: tuple[Record, ...] = ()
    authentic: bool = False
    ttl: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """One MX record (RFC 5321 §5.1). Lower preference first; `host` "" is the null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


class Resolver(Protocol):
    """Asks the DNS. Names are A-labels without the final dot, hosts in answers too. Every method raises DnsUnavailable."""

    async def mx(self, domain: str) -> Answer[Mx]: ...
    async def a(self, host: str) -> Answer[str]:
        """IPv4 addresses as text."""

    async def aaaa(self, host: str) -> Answer[str]:
        """IPv6 addresses as text."""

    async def txt(self, name: str) -> Answer[bytes]:
        """Each record's strings joined (RFC 7208 §3.3)."""

    async def ptr(self, address: str) -> Answer[str]:
        """Host names of an IP address."""

    async def tlsa(self, name: str) -> Answer[Tlsa]: ...
