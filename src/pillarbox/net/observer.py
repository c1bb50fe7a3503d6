"""Who watches connections: logs, metrics and transcripts implement this; the network only tells."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pillarbox.wire.engine import Link


class Tap(Protocol):
    """Hears one connection's dialogue, decrypted. It must redact: secrets pass here."""

    def received(self, octets: bytes) -> None:
        """What the peer said, cut anywhere."""

    def sent(self, chunks: Sequence[bytes]) -> None:
        """What was answered."""

    def closed(self) -> None:
        """The end."""


class Observer(Protocol):
    """Hears what happens, as event names and facts (never a secret; `error` may be an exception)."""

    def emit(self, link: Link, event: str, facts: Mapping[str, Any]) -> None:
        """Something happened on a connection."""

    def tap(self, link: Link, service: str) -> Tap | None:
        """Called for each connection: a Tap, if its dialogue is to be written down."""


class Silent:
    """Nobody watches."""

    def emit(self, link: Link, event: str, facts: Mapping[str, Any]) -> None:
        """Let it pass."""

    def tap(self, link: Link, service: str) -> Tap | None:
        """No transcript."""
        return None
