"""Observers of connections put together."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pillarbox.wire.engine import Link


class Hears(Protocol):
    """What hears events."""

    def emit(self, link: Link, event: str, facts: Mapping[str, Any]) -> None: ...


class Writes(Protocol):
    """What writes one connection's dialogue down."""

    def received(self, octets: bytes) -> None: ...
    def sent(self, chunks: Sequence[bytes]) -> None: ...
    def closed(self) -> None: ...


class Taps(Protocol):
    """What opens transcripts."""

    def tap(self, link: Link, service: str) -> Writes | None: ...


class Observers:
    """Everyone who listens, as the one observer that the network knows."""

    def __init__(self, hearing: Sequence[Hears], transcripts: Taps | None = None) -> None:
        self._hearing = tuple(hearing)
        self._transcripts = transcripts

    def emit(self, link: Link, event: str, facts: Mapping[str, Any]) -> None:
        """Tell everyone."""
        for observer in self._hearing:
            observer.emit(link, event, facts)

    def tap(self, link: Link, service: str) -> Writes | None:
        """A transcript, if they are wanted."""
        return self._transcripts.tap(link, service) if self._transcripts is not None else None
