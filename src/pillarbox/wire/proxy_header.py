"""The PROXY protocol: what a load balancer says about the client before the client's own octets (HAProxy's
doc/proxy-protocol.txt, versions 1 and 2; here §n is its section).

Security: whoever may send this header chooses the address that is throttled, logged and written into Received. The caller
takes it from configured networks only. A header is bounded, and what cannot become one is known from its first octets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""What begins a header of version 2 (§2.2)."""

MAX_TEXT = 107
"""Octets of the longest header of version 1, its line end included (§2.1)."""

MAX_BINARY = 536
"""Octets of a header of version 2: what one segment holds on any line, so that a sender keeps within it (§2)."""

_FIXED = 16
_TEXT = b"PROXY "
_TCP = re.compile(
    rb"PROXY (?P<family>TCP[46]) (?P<peer>[0-9A-Fa-f:.]{2,39}) (?P<local>[0-9A-Fa-f:.]{2,39})"
    rb" (?P<peer_port>0|[1-9][0-9]{0,4}) (?P<local_port>0|[1-9][0-9]{0,4})"
)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [!-~ ]*)?")
_VERSION = 0x20  # the upper half of the 13th octet
_LOCAL, _PROXY = 0, 1  # its lower half
_ADDRESSES: dict[int, tuple[int, Callable[[bytes], IPv4Address | IPv6Address]]] = {
    0x11: (4, IPv4Address),
    0x21: (16, IPv6Address),
}  # TCP over IPv4 and IPv6: octets of an address
_NO_ADDRESS = {0x00: 0, 0x31: 216}  # unspecified, and a Unix socket: taken, and its addresses passed over


class BadHeader(Exception):
    """The octets are no header. The text is ours, fit for a log."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection really comes from, and where it went to: IP addresses as text."""

    peer: str
    peer_port: int
    local: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Header:
    """`length` in octets. `origin` is None when the proxy speaks for itself (its health checks) or does not know."""

    length: int
    origin: Origin | None


def parse(octets: bytes) -> Header | None:
    """The header that these octets begin with; None when more are needed. Raises BadHeader."""
    if octets.startswith(SIGNATURE[: len(octets)]):
        return _binary(octets)
    if octets.startswith(_TEXT[: len(octets)]):
        return _text(octets)
    raise BadHeader("what came first is no header of the PROXY protocol")


def _text(octets: bytes) -> Header | None:
    """Version 1 (§2.1): one line."""
    end = octets.find(b"\r\n", 0, MAX_TEXT)
    if end < 0:
        if len(octets) >= MAX_TEXT or b"\n" in octets:
            raise BadHeader(f"a header of version 1 does not end within {MAX_TEXT} octets")
        return None
    line = octets[:end]
    if _UNKNOWN.fullmatch(line):
        return Header(end + 2, None)
    found = _TCP.fullmatch(line)
    if found is None:
        raise BadHeader("a header of version 1 is malformed")
    kind = IPv4Address if found["family"] == b"TCP4" else IPv6Address
    try:
        peer, local = kind(found["peer"].decode()), kind(found["local"].decode())
    except ValueError:
        raise BadHeader("a header of version 1 has a malformed address") from None
    ports = int(found["peer_port"]), int(found["local_port"])
    if max(ports) > 0xFFFF:
        raise BadHeader("a header of version 1 has a port above 65535")
    return Header(end + 2, Origin(_plain(peer), ports[0], _plain(local), ports[1]))


def _binary(octets: bytes) -> Header | None:
    """Version 2 (§2.2): 16 octets, the addresses, and after them what we do not read (TLVs)."""
    if len(octets) < _FIXED:
        return None
    version_command, kind = octets[12], octets[13]
    command = version_command - _VERSION
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("a header of version 2 has an unknown version or command")
    length = _FIXED + int.from_bytes(octets[14:16], "big")
    if length > MAX_BINARY:
        raise BadHeader(f"a header of version 2 is longer than {MAX_BINARY} octets")
    if command == _PROXY and kind not in _ADDRESSES and kind not in _NO_ADDRESS:
        raise BadHeader("a header of version 2 is not about a TCP connection")
    if len(octets) < length:
        return None
    if command == _LOCAL:  # whatever it says about addresses does not count
        return Header(length, None)
    if kind in _NO_ADDRESS:
        if length < _FIXED + _NO_ADDRESS[kind]:
            raise BadHeader("a header of version 2 is too short for its addresses")
        return Header(length, None)
    size, make = _ADDRESSES[kind]
    if length < _FIXED + 2 * size + 4:
        raise BadHeader("a header of version 2 is too short for its addresses")
    peer, local = make(octets[_FIXED : _FIXED + size]), make(octets[_FIXED + size : _FIXED + 2 * size])
    ports = _FIXED + 2 * size
    peer_port, local_port = (int.from_bytes(octets[at : at + 2], "big") for at in (ports, ports + 2))
    return Header(length, Origin(_plain(peer), peer_port, _plain(local), local_port))


def _plain(address: IPv4Address | IPv6Address) -> str:
    """As text; an IPv4 address stays one when it is dressed up as IPv6, so that it is counted as what it is."""
    return str(getattr(address, "ipv4_mapped", None) or address)
