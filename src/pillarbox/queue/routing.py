"""Where a domain's mail goes: smarthost, MX, or the domain's own address (RFC 5321 §5.1, RFC 7505, RFC 5321 §5.2 for IPv6).

Security: whoever owns a domain writes its DNS records. Numbers of hosts and addresses are bounded, and mail is never
relayed to this server itself.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from pillarbox.mail.status import Reply
from pillarbox.mailauth.dns import Answer, DnsUnavailable, Existence, Mx, Resolver
from pillarbox.queue.policy import Policy, Smarthost
from pillarbox.smtp.client.policy import Login, TlsMode

MAX_HOSTS = 8
"""Mail servers of one domain that are looked at; the rest are backups of backups."""

MAX_ADDRESSES = 4
"""Addresses of one host that are tried in each family."""

Order = Callable[[list[Mx]], list[Mx]]
"""Puts hosts of equal preference into a random order (RFC 5321 §5.1: load is to be spread)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One address to try. `host` is the name that the certificate is checked against, where it is."""

    host: str
    address: str
    port: int
    tls: TlsMode
    login: Login | None = None

    @property
    def family(self) -> str:
        """ "ipv4" or "ipv6"."""
        return "ipv6" if ":" in self.address else "ipv4"


class Unroutable(Exception):
    """There is nowhere to send mail for the domain to, now or (5yz) at all."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


async def route(domain: str, policy: Policy, resolver: Resolver, shuffle: Order) -> list[Peer]:
    """The addresses to try, best first; never empty. Raises Unroutable."""
    smarthost = policy.smarthost_for(domain)
    try:
        if smarthost is not None:
            return await _to_smarthost(smarthost, policy, resolver)
        if domain.startswith("["):
            hosts = [_literal(domain)]
        else:
            hosts = await _mail_servers(domain, policy, resolver, shuffle)
        return await _peers(domain, hosts, policy, resolver)
    except DnsUnavailable as error:
        raise Unroutable(Reply(451, "4.4.3", f"the DNS gives no answer about {domain}: {error}")) from None


async def _to_smarthost(smarthost: Smarthost, policy: Policy, resolver: Resolver) -> list[Peer]:
    addresses, exists = await _addresses(smarthost.host, policy, resolver)
    if not addresses:
        # Our own configuration is wrong; the message waits until that is mended.
        what = "has no address" if exists else "does not exist"
        raise Unroutable(Reply(451, "4.4.4", f"the smarthost {smarthost.host} {what} in the DNS"))
    return [Peer(smarthost.host, a, smarthost.port, smarthost.tls, smarthost.login) for a in addresses]


async def _mail_servers(domain: str, policy: Policy, resolver: Resolver, shuffle: Order) -> list[str]:
    """Host names in the order in which they are to be tried."""
    answer: Answer[Mx] = await resolver.mx(domain)
    if answer.existence is Existence.NO_NAME:
        raise Unroutable(Reply(550, "5.1.2", f"the domain {domain} does not exist"))
    if answer.existence is Existence.NO_DATA:
        return [domain]  # RFC 5321 §5.1: the implicit MX
    if all(mx.host in ("", ".") for mx in answer.records):
        raise Unroutable(Reply(556, "5.1.10", f"the domain {domain} accepts no mail (null MX)"))  # RFC 7505 §4
    records = [Mx(mx.preference, mx.host.lower().rstrip(".")) for mx in answer.records if mx.host not in ("", ".")]
    own = {policy.host_name.lower(), *policy.own_names}
    # RFC 5321 §5.1: being one of the servers ourselves, we may only hand on to better ones.
    ours = min((mx.preference for mx in records if mx.host in own), default=None)
    better = [mx for mx in records if ours is None or mx.preference < ours]
    if not better:
        raise Unroutable(_loop(domain))
    ordered = sorted(shuffle(better), key=lambda mx: mx.preference)  # the sort is stable: equals stay shuffled
    return list(dict.fromkeys(mx.host for mx in ordered))[:MAX_HOSTS]


async def _peers(domain: str, hosts: list[str], policy: Policy, resolver: Resolver) -> list[Peer]:
    peers: list[Peer] = []
    unavailable: DnsUnavailable | None = None
    loop = False
    for host in hosts:
        try:
            addresses, _ = await _addresses(host, policy, resolver)
        except DnsUnavailable as error:
            unavailable = error
            continue
        if any(a in policy.own_addresses for a in addresses):
            loop = True
            break  # it is ourselves: those behind it are worse (RFC 5321 §5.1)
        peers += [Peer(host, a, policy.port, TlsMode.OPPORTUNISTIC) for a in addresses]
    if peers:
        return peers
    if unavailable is not None:
        raise unavailable
    if loop:
        raise Unroutable(_loop(domain))
    names = ", ".join(hosts)
    raise Unroutable(Reply(550, "5.4.4", f"mail for {domain} has nowhere to go: {names} has no address in the DNS"))


async def _addresses(host: str, policy: Policy, resolver: Resolver) -> tuple[list[str], bool]:
    """Usable addresses of a host in the order of the families, and whether its name exists. Raises DnsUnavailable."""
    literal = _ip(host)
    if literal:
        return [literal], True
    found: list[str] = []
    exists = False
    unavailable: DnsUnavailable | None = None
    for family in policy.families:
        try:
            answer = await (resolver.aaaa(host) if family == "ipv6" else resolver.a(host))
        except DnsUnavailable as error:
            unavailable = error
            continue
        exists = exists or answer.existence is not Existence.NO_NAME
        found += [a for a in answer.records if _is_unicast(a)][:MAX_ADDRESSES]
    if not found and unavailable is not None:
        raise unavailable
    return found, exists


def _literal(domain: str) -> str:
    """The address in an address literal (RFC 5321 §4.1.3)."""
    text = domain[1:-1]
    address = _ip(text[5:] if text.lower().startswith("ipv6:") else text)
    if not address:
        raise Unroutable(Reply(550, "5.1.2", f"{domain} is not an address literal that can be used"))
    return address


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _is_unicast(address: str) -> bool:
    """0.0.0.0 means this machine on many systems, and nobody is at a multicast address."""
    ip = ipaddress.ip_address(address)
    return not (ip.is_unspecified or ip.is_multicast)


def _loop(domain: str) -> Reply:
    text = (
        f"mail for {domain} would loop: its DNS names this server, but {domain} is not one of its domains. "
        "Add the domain here, or change its MX record"
    )
    return Reply(554, "5.4.6", text)
