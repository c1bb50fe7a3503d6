"""All connections of the process: what they share, and how they end together."""

import asyncio
import itertools
import ssl
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from pillarbox.net.admission import Admission, AdmissionLimits, Ticket
from pillarbox.net.fair_queue import FairQueue
from pillarbox.net.observer import Observer, Silent
from pillarbox.net.timer_wheel import TICK, Guest, TimerWheel
from pillarbox.net.tls import ServerTls
from pillarbox.net.traffic import Traffic
from pillarbox.wire.engine import Engine, Link


@dataclass(frozen=True, slots=True)
class Service:
    """What one listener offers. `login` for ports where people log in, `messages` for those where messages are handed over;
    `refusal` is said to a peer that is one too many. `proxies`: networks from which connections come with a header of the
    PROXY protocol, and from nowhere else."""

    name: str
    engine: Callable[[Link], Engine]
    tls: ServerTls | None = None
    implicit_tls: bool = False
    login: bool = False
    messages: bool = False
    refusal: bytes = b""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    def context(self) -> ssl.SSLContext:
        """For a new TLS connection."""
        if self.tls is None:
            raise RuntimeError(f"the listener {self.name} has no certificate")
        return self.tls.context()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Patience with peers, in seconds."""

    handshake: float = 30.0
    """For a TLS handshake: two round trips, over the worst line."""

    login: float = 180.0
    """For logging in, however busy a peer seems: real programs take a second, people who type a minute."""

    message: float = 1800.0
    """For handing over a message, where peers come for that: from the connection, the login or the last accepted message on,
    and longer by what has been received at `slowest`. RFC 5321 §4.5.3.2 gives each command five minutes: six of those."""

    slowest: float = 500.0
    """Octets a second: half of what a mobile phone of 1995 sent."""

    write_stall: float = 120.0
    """For a peer that takes none of what is sent to it; a phone in a tunnel comes back within that."""

    linger: float = 10.0
    """For a peer to read our last words."""


class Member(Guest, Protocol):
    """What a connection must be able to do for the others' sake."""

    def shut_down(self) -> None: ...
    def abort(self) -> None: ...
    def cancel(self) -> None: ...


class Connections:
    """Shared by all listeners of one event loop; create it while the loop runs."""

    def __init__(
        self,
        *,
        observer: Observer | None = None,
        limits: ConnectionLimits | None = None,
        admission: AdmissionLimits | None = None,
        tick: float = TICK,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.observer: Observer = observer or Silent()
        self.limits = limits or ConnectionLimits()
        self.admission = Admission(admission)
        self.wheel = TimerWheel(tick)
        self.turns = FairQueue(self.loop)
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)  # by listener
        self._members: set[Member] = set()
        self._numbers = itertools.count(1)
        self._prefix = f"{int(time.time()) & 0xFFFFFF:06x}"  # so that ids of two runs do not meet in one log
        self._empty: asyncio.Future[None] | None = None
        self._shutting_down = False

    def __len__(self) -> int:
        return len(self._members)

    def next_id(self) -> str:
        """An id for a connection, unique for this run and very probably among runs."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def admit(self, peer: str, service: Service, make_room: Callable[[], None]) -> Ticket | str:
        """A ticket, or why not. `make_room` closes the connection when its place is needed."""
        if self._shutting_down:
            return "the server is shutting down"
        return self.admission.admit(peer, make_room, login=service.login)

    def enter(self, member: Member) -> None:
        """A connection is established."""
        self._members.add(member)
        self.wheel.schedule(member, self.limits.handshake)

    def leave(self, member: Member, ticket: Ticket) -> None:
        """A connection is gone."""
        self._members.discard(member)
        self.admission.leave(ticket)
        if not self._members:
            if self._empty is not None and not self._empty.done():
                self._empty.set_result(None)
            if self._shutting_down:
                self.wheel.stop()

    async def shut_down(self, patience: float) -> int:
        """Let every engine say goodbye and finish its command; after `patience` seconds cut off the rest.

        Returns how many had to be cut off.
        """
        self._shutting_down = True
        for member in list(self._members):
            member.shut_down()
        if await self._wait_empty(patience):
            return 0
        left = self.cut_off()
        await self._wait_empty(1.0)
        self.wheel.stop()
        return left

    def cut_off(self) -> int:
        """Close every connection at once, and stop its command; returns how many there were."""
        left = list(self._members)
        for member in left:
            member.abort()
            member.cancel()
        return len(left)

    async def _wait_empty(self, patience: float) -> bool:
        if not self._members:
            self.wheel.stop()
            return True
        self._empty = self.loop.create_future()
        done, _ = await asyncio.wait([self._empty], timeout=patience)
        return bool(done)
