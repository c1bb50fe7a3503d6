"""Where the tour takes place: the addresses of a demo server's listeners and the authority that signed its certificate."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from pillarbox.cli.tour.wire import Wire

PASSWORD = "pillarbox"  # noqa: S105  (of the demo's accounts, on loopback; README says so)


@dataclass(frozen=True, slots=True)
class World:
    """Listener name (smtp, submissions, ...) to its address, and what clients trust."""

    addresses: Mapping[str, tuple[str, int]]
    trust: ssl.SSLContext

    def wire(self, listener: str) -> Wire:
        """A new connection to one listener."""
        return Wire(self.addresses[listener], self.trust)
