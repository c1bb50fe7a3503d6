"""Address blocks: which addresses are counted as one, and which are never refused.

Security: a guesser has a whole block as easily as one address; a site may be hidden behind one address.
"""

import ipaddress

LOCAL = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128",
         "fc00::/7", "fe80::/10")  # fmt: skip
"""Networks behind which many may be hidden (RFC 1918, 6598, 4193). Written out: `is_private` differs between Pythons."""

_REMEMBERED = 4096


def address_block(address: str, ipv4: int = 32, ipv6: int = 64) -> str:
    """The block that an IP address (as text) belongs to, by prefix lengths; what is no IP address (a Unix socket) is its own.

    By default what one household or host gets: an address of IPv4, a /64 of IPv6. Connections are counted so, because a /24
    may be 250 strangers to each other. Wrong passwords are counted by larger blocks: who guesses rents a whole one.
    """
    if ipv4 == 32 and ":" not in address:
        return address  # the usual case, for each connection
    try:
        parsed: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    prefix = ipv4 if parsed.version == 4 else ipv6
    if prefix == parsed.max_prefixlen:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


class Blocks:
    """`ipv4` and `ipv6` are prefix lengths; `never_refused` are networks."""

    __slots__ = ("_exempt", "_ipv4", "_ipv6", "_known")

    def __init__(self, ipv4: int = 24, ipv6: int = 64, never_refused: tuple[str, ...] = LOCAL) -> None:
        self._ipv4, self._ipv6 = ipv4, ipv6
        self._exempt = tuple(ipaddress.ip_network(network, strict=False) for network in never_refused)
        self._known: dict[str, tuple[str, bool]] = {}

    def of(self, peer: str) -> tuple[str, bool]:
        """The block that an IP address is counted under, and whether it is never refused."""
        found = self._known.get(peer)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[peer] = self._work_out(peer)
        return found

    def _work_out(self, peer: str) -> tuple[str, bool]:
        try:
            address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return peer, True  # a Unix socket
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        block = address_block(peer, self._ipv4, self._ipv6)
        return block, any(address in network for network in self._exempt)
