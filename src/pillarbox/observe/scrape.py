"""The metrics page over HTTP (RFC 9112), as a monitoring system fetches it: GET /metrics, one request to a connection.

An engine like those of the mail protocols (wire/engine.py), so that the network's limits and patience hold here, too.

Security: whoever reaches the port may read how much this server does, and nothing else: nothing here names a person or changes
anything. A request is a few kilobytes, is never repeated in an answer, and has ten seconds to arrive.
"""

import re
from collections.abc import Awaitable, Callable

from pillarbox.observe.exposition import CONTENT_TYPE
from pillarbox.wire.engine import Link, TlsInfo, Want
from pillarbox.wire.outbox import Outbox

MAX_REQUEST = 8 * 1024
"""Octets of a request with its header; Prometheus sends some 300."""

TIMEOUT = 10.0
"""Seconds until a request is complete: what Prometheus gives us as a rule."""

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""For a connection that is one too many."""

_REQUEST = re.compile(rb"(?:\r?\n)?([!#-'*+.0-9A-Z^-z|~-]+) ([!-~]+) HTTP/1\.[0-9]\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_PATH = b"/metrics"


class MetricsEngine:
    """One connection. `page` gives the text; it is asked once for each request that is in order."""

    __slots__ = ("_page", "_received", "out", "want")

    timeout = TIMEOUT

    def __init__(self, _link: Link, page: Callable[[], Awaitable[str]]) -> None:
        self.out = Outbox()
        self.want = Want.OCTETS
        self._page = page
        self._received = bytearray()

    @property
    def backlog(self) -> int:
        """See Engine."""
        return len(self._received)

    def connected(self) -> None:
        """In HTTP the client speaks first."""

    def receive(self, octets: bytes) -> None:
        """See Engine."""
        if self.want is Want.OCTETS:
            self._received += octets

    async def process(self) -> None:
        """See Engine."""
        if self.want is not Want.OCTETS:
            return
        if _END.search(self._received, 0, MAX_REQUEST) is None:
            if len(self._received) >= MAX_REQUEST:
                self._answer("431 Request Header Fields Too Large")
            return
        request = _REQUEST.match(self._received)
        if request is None:
            self._answer("400 Bad Request")
        elif request[1] not in (b"GET", b"HEAD"):
            self._answer("405 Method Not Allowed", more="Allow: GET, HEAD\r\n")
        elif request[2].partition(b"?")[0] != _PATH:
            self._answer("404 Not Found", "The metrics are at /metrics\n", head=request[1] == b"HEAD")
        else:
            self._answer("200 OK", await self._page(), kind=CONTENT_TYPE, head=request[1] == b"HEAD")

    def tls_started(self, tls: TlsInfo) -> None:
        """There is none."""

    def timed_out(self) -> None:
        """See Engine."""
        self.want = Want.CLOSE

    def disconnected(self) -> None:
        """See Engine."""
        self.want = Want.CLOSE
        self._received.clear()

    def shutting_down(self) -> None:
        """See Engine."""
        self.want = Want.CLOSE
        self.out.ring()

    def _answer(
        self,
        status: str,
        text: str = "",
        *,
        kind: str = "text/plain; charset=utf-8",
        head: bool = False,
        more: str = "",
    ) -> None:
        body = text.encode()
        self.out.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
            f"X-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n".encode()
        )
        if not head:
            self.out.write(body)
        self._received.clear()
        self.want = Want.CLOSE
