"""The smallest engine that uses everything the network offers."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pillarbox.net.connections import Connections, Service
from pillarbox.net.listener import Listener, bind
from pillarbox.wire.engine import Engine, Link, TlsInfo, Want
from pillarbox.wire.lines import LineBuffer
from pillarbox.wire.outbox import Outbox


class EchoEngine:
    """Answers each line: STARTTLS, QUIT, BIG n (n octets, drained in pieces), SLOW, HEAVY (5 ms at a stretch), LONG (until the
    peer is gone), PAUSES n, BUG, PUSH; anything else comes back."""

    def __init__(self, link: Link, *, timeout: float = 300.0) -> None:
        self.link = link
        self.out = Outbox()
        self.want = Want.OCTETS
        self.timeout = timeout
        self.lines = LineBuffer()
        self.calls: list[str] = []
        self.answered = 0
        self.on_heavy: Callable[[], None] = lambda: None
        self.on_octets: Callable[[int], None] = lambda _: None
        self.slow, self.gate = asyncio.Event(), asyncio.Event()
        self._running = self._stopping = False

    @property
    def backlog(self) -> int:
        return len(self.lines)

    def connected(self) -> None:
        self.out.write(b"hello\r\n")

    def receive(self, octets: bytes) -> None:
        self.on_octets(len(octets))
        self.lines.feed(octets)

    async def process(self) -> None:
        assert not self._running, "process entered twice"
        self._running = True
        try:
            while self.want is Want.OCTETS:
                if self._stopping:
                    self._goodbye()
                    return
                line = self.lines.take_line(1000)
                if line is None:
                    return
                await self._answer(line)
                self.answered += 1
                await self.out.drain()
        finally:
            self._running = False

    async def _answer(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        match verb:
            case b"QUIT":
                self.out.write(b"bye\r\n")
                self.want = Want.CLOSE
            case b"STARTTLS":
                if self.backlog:
                    self.out.write(b"refused\r\n")
                    self.want = Want.CLOSE
                else:
                    self.out.write(b"go ahead\r\n")
                    self.want = Want.TLS
            case b"BIG":
                left = int(argument)
                while left > 0:
                    self.out.write(b"x" * min(left, 65536))
                    left -= 65536
                    await self.out.drain()
                self.out.write(b"\r\ndone\r\n")
            case b"SLOW":
                self.slow.set()
                await self.gate.wait()
                self.out.write(b"finally\r\n")
            case b"HEAVY":
                until = time.perf_counter() + 0.005
                while time.perf_counter() < until:
                    pass
                self.on_heavy()
            case b"LONG":
                self.slow.set()
                while True:
                    await self.out.give_way()
            case b"PAUSES":
                for _ in range(int(argument)):
                    await self.out.give_way()
                self.out.write(b"done\r\n")
            case b"BUG":
                raise LookupError("a bug")
            case _:
                self.out.write(line + b"\r\n")

    def push(self, octets: bytes) -> None:
        self.out.write(octets)
        self.out.ring()

    def tls_started(self, tls: TlsInfo) -> None:
        self.want = Want.OCTETS
        self.calls.append(f"tls_started {tls.version}")

    def timed_out(self) -> None:
        self.out.write(b"too slow\r\n")
        self.want = Want.CLOSE

    def disconnected(self) -> None:
        self.calls.append("disconnected")

    def shutting_down(self) -> None:
        self._stopping = True
        if not self._running:
            self._goodbye()

    def _goodbye(self) -> None:
        self.out.write(b"going down\r\n")
        self.want = Want.CLOSE


class Recorder:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._waiting: list[tuple[str, asyncio.Event]] = []

    def emit(self, _link: Link, event: str, facts: Any) -> None:
        self.events.append((event, dict(facts)))
        for name, signal in self._waiting:
            if name == event:
                signal.set()

    def tap(self, _link: Link, _service: str) -> None:
        return None

    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    async def wait(self, event: str) -> dict[str, Any]:
        """The facts of the first such event, waiting for it when it has not happened yet."""
        if event not in self.names():
            signal = asyncio.Event()
            self._waiting.append((event, signal))
            async with asyncio.timeout(10):
                await signal.wait()
        return next(facts for name, facts in self.events if name == event)


class EchoServer:
    """Connections, one listener on a free port of loopback, and the engines that were made."""

    def __init__(
        self,
        *,
        timeout: float = 300.0,
        tls: Any = None,
        implicit_tls: bool = False,
        login: bool = True,
        messages: bool = False,
        **shared: Any,
    ) -> None:
        self.engines: list[EchoEngine] = []
        self.recorder = Recorder()
        self.connections = Connections(observer=self.recorder, **shared)

        def make(link: Link) -> Engine:
            self.engines.append(EchoEngine(link, timeout=timeout))
            return self.engines[-1]

        service = Service(
            "echo", make, tls, implicit_tls=implicit_tls, login=login, messages=messages, refusal=b"full\r\n"
        )
        self.listener = Listener(service, bind("127.0.0.1", 0), self.connections)

    @property
    def port(self) -> int:
        return self.listener.addresses[0][1]

    async def __aenter__(self) -> "EchoServer":
        await self.listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listener.stop()
        await self.connections.shut_down(0.2)
