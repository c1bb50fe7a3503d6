"""The contract between a protocol engine and the network.

An engine never touches a socket, a clock or a log. `net.connection` gives it octets and takes octets from it:

    engine.connected()                      the greeting is in `engine.out`
    engine.receive(octets)                  as they came, cut anywhere
    await engine.process()                  runs every complete command that is buffered
    net writes engine.out.take(), then looks at engine.want: more octets, TLS, or close
    engine.tls_started(tls)                 after want was Want.TLS and the handshake is done
    engine.timed_out()                      nothing came for `engine.timeout` seconds
    engine.disconnected()                   always last, exactly once

`process` is never entered twice at a time; `receive` may be called while it runs, and the running `process` takes the
new octets up. While `engine.backlog` is above BACKLOG_LIMIT the network stops reading.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from pillarbox.wire.outbox import Outbox

BACKLOG_LIMIT = 128 * 1024
"""Octets an engine may have unprocessed before the network stops reading from the peer."""


class Want(Enum):
    """What an engine needs next from the network."""

    OCTETS = auto()
    TLS = auto()
    CLOSE = auto()


OCTETS, TLS, CLOSE = Want
"""For what is compared several times for each command: before Python 3.12 an enum looks a member up in Python, 0.2 µs each."""


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """A finished TLS handshake: "TLSv1.3", the cipher's name, the ALPN protocol and the name the client asked for.
    `bindings`: channel bindings by their names (RFC 5056); empty where a client could not rely on them."""

    version: str
    cipher: str
    alpn: str | None = None
    server_name: str | None = None
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)


class Emit(Protocol):
    """How an engine says what happened, for logs and metrics: an event name and facts. Never a secret."""

    def __call__(self, event: str, /, **facts: Any) -> None: ...


def _silent(_event: str, /, **_facts: Any) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class Link:
    """What an engine may know of its connection. Addresses are IP addresses as text; `id` runs through all log lines.
    In `commands` it counts what it was asked for, by names of its own registry; they are shared by a whole listener."""

    peer: str = "127.0.0.1"
    peer_port: int = 0
    local: str = "127.0.0.1"
    local_port: int = 0
    id: str = "test"
    tls: TlsInfo | None = None
    emit: Emit = field(default=_silent)
    commands: Counter[str] = field(default_factory=Counter)


class Engine(Protocol):
    """One connection's protocol engine; see the module for the order of calls."""

    out: Outbox
    want: Want

    @property
    def timeout(self) -> float:
        """Seconds of silence after which the network calls `timed_out`; may change with the state."""

    @property
    def backlog(self) -> int:
        """Octets received and not yet processed."""

    def connected(self) -> None:
        """The connection (and implicit TLS, if any) stands: greet."""

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer."""

    async def process(self) -> None:
        """Run what is complete. Raises only ConnectionError (the peer is gone while it drained)."""

    def tls_started(self, tls: TlsInfo) -> None:
        """STARTTLS succeeded: forget what was known of the peer before (RFC 3207 §4.2)."""

    def timed_out(self) -> None:
        """The peer was silent for `timeout` seconds: say goodbye and want CLOSE, or stay (IDLE)."""

    def disconnected(self) -> None:
        """The connection is gone: release what is held."""

    def shutting_down(self) -> None:
        """The server stops: say so (421, BYE) as soon as no command is running, then want CLOSE."""
