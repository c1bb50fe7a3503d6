"""Who may connect: how many connections at once, in all and from one address block, fewer before login.

Security: strangers choose how often they connect. Families and offices behind one address must still get in, so that
only connections that have not logged in are counted strictly.
"""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Connections at once. A block is an IPv4 address, or an IPv6 /64 (what one household or host gets)."""

    total: int = 15_000
    """All connections; kept below the limit of open files."""

    per_block: int = 400
    """From one block: an office behind one address, with several devices each that hold several connections open."""

    before_login: int = 2_000
    """Connections to login ports that have not logged in."""

    before_login_per_block: int = 60
    """The same from one block; real programs log in within a second."""


def address_block(address: str) -> str:
    """The block that an IP address (as text) belongs to."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return address


class Ticket:
    """One admitted connection's place in the counts."""

    __slots__ = ("before_login", "block")

    def __init__(self, block: str, *, before_login: bool) -> None:
        self.block = block
        self.before_login = before_login


class Admission:
    """Counts connections."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self.limits = limits or AdmissionLimits()
        self.total = 0
        self.before_login = 0
        self._blocks: Counter[str] = Counter()
        self._before_login: Counter[str] = Counter()

    def admit(self, address: str, *, login: bool) -> Ticket | str:
        """A ticket, or the reason for refusing, fit for a log. `login`: this port expects people to log in."""
        limits, block = self.limits, address_block(address)
        if self.total >= limits.total:
            return "too many connections"
        if self._blocks[block] >= limits.per_block:
            return f"too many connections from {block}"
        if login and self.before_login >= limits.before_login:
            return "too many connections that have not logged in"
        if login and self._before_login[block] >= limits.before_login_per_block:
            return f"too many connections from {block} that have not logged in"
        self.total += 1
        self._blocks[block] += 1
        if login:
            self.before_login += 1
            self._before_login[block] += 1
        return Ticket(block, before_login=login)

    def logged_in(self, ticket: Ticket) -> None:
        """The connection is not counted strictly any more."""
        if ticket.before_login:
            ticket.before_login = False
            self.before_login -= 1
            _subtract(self._before_login, ticket.block)

    def leave(self, ticket: Ticket) -> None:
        """The connection is gone."""
        self.logged_in(ticket)
        self.total -= 1
        _subtract(self._blocks, ticket.block)


def _subtract(counter: Counter[str], key: str) -> None:
    """Count one less; a zero is forgotten, so that memory does not grow with the addresses ever seen."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
