"""Who may connect: how many connections at once, in all and from one address block, fewer before login.

Security: strangers choose how often they connect. Families and offices behind one address must still get in, so that
only connections that have not logged in are counted strictly. Strangers who just sit there never keep anybody out: when
they are too many, the one that has been there longest of the most crowded address block makes room for the newcomer.
An account's oldest connection makes room for its newest.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pillarbox.access.blocks import address_block


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

    per_account: int = 100
    """Of one account: a family's devices hold some dozens open."""

    incoming: int = 500
    """Connections of other servers (port 25), which never log in. They stay for seconds; ten a second need a hundred."""

    incoming_per_block: int = 50
    """The same from one block: the largest senders open some twenty at once."""


class Ticket:
    """One admitted connection's place in the counts; `account` is whose it is, once that is known. `make_room` closes the
    connection; it is called at most once."""

    __slots__ = ("account", "block", "crowd", "make_room")

    def __init__(self, block: str, make_room: Callable[[], None]) -> None:
        self.block = block
        self.make_room = make_room
        self.crowd: Crowd | None = None
        self.account = ""


class Crowd:
    """Connections of strangers by block, each in the order of arrival."""

    def __init__(self) -> None:
        self._blocks: dict[str, dict[Ticket, None]] = {}
        self._by_size: dict[int, dict[str, None]] = {}
        self._largest = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, block: str) -> int:
        """How many are from this block."""
        return len(self._blocks.get(block, ()))

    def enter(self, ticket: Ticket) -> None:
        """One more."""
        ticket.crowd = self
        tickets = self._blocks.setdefault(ticket.block, {})
        tickets[ticket] = None
        self._count += 1
        self._resize(ticket.block, len(tickets) - 1, len(tickets))
        self._largest = max(self._largest, len(tickets))

    def leave(self, ticket: Ticket) -> None:
        """One less; nothing is kept of a block that nobody is from."""
        ticket.crowd = None
        tickets = self._blocks[ticket.block]
        del tickets[ticket]
        self._count -= 1
        self._resize(ticket.block, len(tickets) + 1, len(tickets))
        if not tickets:
            del self._blocks[ticket.block]

    def longest_in_most_crowded(self) -> Ticket:
        """Of the most crowded block the ticket that came first; of several such blocks, the one that grew so large first."""
        while self._largest not in self._by_size:
            self._largest -= 1
        return next(iter(self._blocks[next(iter(self._by_size[self._largest]))]))

    def _resize(self, block: str, before: int, now: int) -> None:
        if before:
            same = self._by_size[before]
            del same[block]
            if not same:
                del self._by_size[before]
        if now:
            self._by_size.setdefault(now, {})[block] = None


class Admission:
    """Counts connections."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self.limits = limits or AdmissionLimits()
        self.total = 0
        self.made_room = 0
        self.strangers = Crowd()
        self.servers = Crowd()
        self._blocks: Counter[str] = Counter()
        self._accounts: dict[str, dict[Ticket, None]] = {}

    def admit(self, address: str, make_room: Callable[[], None], *, login: bool) -> Ticket | str:
        """A ticket, or the reason for refusing, fit for a log. `login`: this port expects people to log in. `make_room` closes
        the connection when others need its place; by then it is not counted any more."""
        limits, block = self.limits, address_block(address)
        if self._blocks[block] >= limits.per_block:
            return f"too many connections from {block}"
        if login:
            crowd, most, most_of_block = self.strangers, limits.before_login, limits.before_login_per_block
        else:
            crowd, most, most_of_block = self.servers, limits.incoming, limits.incoming_per_block
        if crowd.of(block) >= most_of_block:
            return f"too many connections from {block} that have not logged in"
        if len(crowd) >= most:
            self._send_away(crowd.longest_in_most_crowded())
        elif self.total >= limits.total:
            if not (self.strangers or self.servers):
                return "too many connections"
            self._send_away(max(self.strangers, self.servers, key=len).longest_in_most_crowded())
        ticket = Ticket(block, make_room)
        self.total += 1
        self._blocks[block] += 1
        crowd.enter(ticket)
        return ticket

    def logged_in(self, ticket: Ticket, account: str = "") -> None:
        """The connection is not counted strictly any more, but with the others of the account."""
        if ticket.crowd is not None:
            ticket.crowd.leave(ticket)
        if account and ticket.block and not ticket.account:
            ticket.account = account
            tickets = self._accounts.setdefault(account, {})
            tickets[ticket] = None
            if len(tickets) > self.limits.per_account:
                self._send_away(next(iter(tickets)))

    def leave(self, ticket: Ticket) -> None:
        """The connection is gone; fine for one that made room."""
        if ticket.block:
            self.logged_in(ticket)
            if ticket.account:
                tickets = self._accounts[ticket.account]
                del tickets[ticket]
                if not tickets:
                    del self._accounts[ticket.account]
            self.total -= 1
            _subtract(self._blocks, ticket.block)
            ticket.block = ""

    def _send_away(self, ticket: Ticket) -> None:
        self.leave(ticket)
        self.made_room += 1
        ticket.make_room()


def _subtract(counter: Counter[str], key: str) -> None:
    """Count one less; a zero is forgotten, so that memory does not grow with the addresses ever seen."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
