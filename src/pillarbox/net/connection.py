"""One connection, whatever it speaks: between a transport of the event loop and a protocol engine (wire/engine.py).
How patient it is, and how it ends, is in lifeline.py.

Callbacks, not streams; a task only while the engine has something to do; one write for all that one read produced.

Security: strangers feed this. What comes before TLS never gets behind it; slow and silent peers cost little and are let
go in time; an error that leaves an engine closes this connection and no other.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from pillarbox.net.connections import Connections, Service
from pillarbox.net.eager import run_eagerly
from pillarbox.net.fair_queue import LARGE_READ, LARGE_READS, SLICE
from pillarbox.net.flow_control import WRITE_HIGH, WRITE_LOW, send
from pillarbox.net.lifeline import Lifeline
from pillarbox.net.tls import TlsError, TlsLayer
from pillarbox.wire.engine import BACKLOG_LIMIT, CLOSE, OCTETS, TLS, Link
from pillarbox.wire.proxy_header import Origin

_UNNAMED = ("", 0)


class Connection(Lifeline):
    """The one asyncio.Protocol of the server."""

    __slots__ = ("_origin", "_ringing", "_unprocessed")

    def __init__(self, service: Service, connections: Connections, origin: Origin | None = None) -> None:
        super().__init__(service, connections)
        self._origin = origin
        self._unprocessed = 0
        self._ringing = False

    # --- what the transport calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer is here: refuse it, or let the engine greet (after TLS, where that comes first)."""
        self._transport = cast(asyncio.Transport, transport)
        traffic = self._traffic
        peer, peer_port = (transport.get_extra_info("peername") or _UNNAMED)[:2]
        local, local_port = (transport.get_extra_info("sockname") or _UNNAMED)[:2]
        through = {}
        if origin := self._origin:
            through["proxy"] = peer
            peer, peer_port, local, local_port = origin.peer, origin.peer_port, origin.local, origin.local_port
        self._link = Link(peer, peer_port, local, local_port, self._all.next_id(), None, self._emit, traffic.commands)
        admitted = self._all.admit(peer, self._service, self.make_room)
        if isinstance(admitted, str):
            self._refuse(admitted)
            return
        self._ticket = admitted
        traffic.connections += 1
        traffic.open += 1
        self._share = admitted.block
        self._transport.set_write_buffer_limits(high=WRITE_HIGH, low=WRITE_LOW)
        self._engine = engine = self._service.engine(self._link)
        engine.out.on_drain = self._drain
        engine.out.on_turn = self._turn
        engine.out.on_ring = self._ring
        self._all.enter(self)
        self._heard = self._opened = self._all.wheel.now
        if self._service.login:
            self._login_by = self._opened + self._all.limits.login
            self._all.wheel.sooner(self, self._all.limits.login)
        if self._service.messages and not self._service.login:
            self._be_patient()
        self._emit("connected", service=self._service.name, **through)
        self._tap = self._all.observer.tap(self._link, self._service.name)
        if self._service.implicit_tls:
            self._start_tls()
        else:
            self._tell(engine.connected)

    def data_received(self, octets: bytes) -> None:
        """Octets from the peer, cut anywhere."""
        if self._closing:
            self._linger(len(octets))
            return
        tls = self._tls
        try:
            if tls is None:
                self._take(octets)
            elif tls.info is None:
                self._handshake(tls, octets)
            else:
                self._decrypt(tls, octets)
        except Exception as error:
            self._fail(error)
        if self._unprocessed and not self._working and not self._flow.full and not self._closing:
            self._work()
        if len(octets) >= LARGE_READ and not self._read_paused and not self._closing:
            self._transport.pause_reading()
            self._all.turns.stand(LARGE_READS, self._read_on)

    def _read_on(self) -> None:
        """Others who send much had their turn."""
        if not self._read_paused and not self._closing:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """The peer sends no more, but may still read: what it asked for is answered first."""
        self._eof = True
        if self._closing:
            self._transport.close()
        elif self._tls is not None and self._tls.info is None:
            self._emit("tls_failed", reason="the peer gave up")
            self.abort()
        elif self._ticket is not None:
            self._tell()
        return True

    def pause_writing(self) -> None:
        """The transport holds enough: no further command is begun."""
        self._flow.pause()
        self._all.wheel.sooner(self, self._all.limits.write_stall / 2)

    def resume_writing(self) -> None:
        """There is room again."""
        self._flow.resume()
        if self._working or self._closing:
            return
        if self._engine.backlog and self._engine.want is OCTETS:
            self._flush()
            if not self._flow.full:
                self._work()
        else:
            self._tell()

    def connection_lost(self, _error: Exception | None) -> None:
        """Gone. A command that runs is not torn apart: it ends first."""
        self._flow.lose()
        self._closing = True
        self._all.wheel.cancel(self)
        if self._ticket is not None and not self._working:
            self._finish()

    # --- octets in ------------------------------------------------------------------------------------------------

    def _take(self, octets: bytes) -> None:
        """Plaintext for the engine; too much of it stops reading."""
        if self._tap is not None:
            self._tap.received(octets)
        self._engine.receive(octets)
        size = len(octets)
        self._received += size
        self._traffic.received += size
        self._unprocessed += size
        if self._unprocessed > BACKLOG_LIMIT and not self._read_paused and self._engine.backlog > BACKLOG_LIMIT:
            self._read_paused = True
            self._transport.pause_reading()

    def _work(self) -> None:
        """Begin at once; the engine may be done before this returns."""
        self._working = True
        began = perf_counter()
        task = run_eagerly(self._all.loop, self._run())
        if perf_counter() - began > SLICE:
            self._all.turns.had(self._share)
        self._task = task if self._working else None

    async def _run(self) -> None:
        """Let the engine work, then send what it has to say and do what it wants."""
        try:
            if self._all.turns.busy(self._share):
                await self._turn()
            await self._engine.process()
        except (ConnectionError, asyncio.CancelledError):
            self.abort()
        except Exception as error:
            self._fail(error)
        self._task, self._working = None, False
        if self._flow.lost:
            self._finish()
            return
        backlog = self._engine.backlog
        # A line that drips in octet by octet does not count as being heard: only what the engine can use does.
        if backlog < self._unprocessed:
            self._heard = self._all.wheel.now
        self._unprocessed = backlog
        self._tell()

    # --- octets out -------------------------------------------------------------------------------------------------

    def _tell(self, call: Callable[..., None] | None = None, *arguments: Any) -> None:
        """Tell the engine something, then do what it wants unless it is at work; a bug costs this connection only."""
        try:
            if call is not None:
                call(*arguments)
            if not self._working and not self._closing:
                self._settle()
        except Exception as error:
            self._fail(error)

    def _settle(self) -> None:
        """Between two runs of the engine: send, then do what it wants."""
        engine = self._engine
        self._flush(last=engine.want is CLOSE)
        if engine.out.size:
            return  # no room: resume_writing comes back here
        want = engine.want
        if want is OCTETS:
            if self._eof:
                if not (self._flow.full and engine.backlog):
                    self._close()
                return
            if self._read_paused and engine.backlog <= BACKLOG_LIMIT:
                self._read_paused = False
                self._transport.resume_reading()
            self._all.wheel.sooner(self, engine.timeout)
        elif want is TLS:
            self._upgrade()
        else:
            self._close()

    def _flush(self, *, last: bool = False) -> None:
        """One write for everything that is there; `last` words take the end of TLS along."""
        out = self._engine.out
        if not out.size or self._flow.full or self._closing:
            return
        size = out.size
        chunks = out.take()
        self._traffic.sent += size
        if self._tap is not None:
            self._tap.sent(chunks)
        if self._tls is not None:
            try:
                sealed = self._tls.encrypt(chunks)
            except TlsError:
                self.abort()
                return
            if last:
                sealed.append(self._tls.close())
            send(self._transport, sealed, size)
        else:
            send(self._transport, chunks, size)

    async def _drain(self) -> None:
        """Outbox.drain, when much is waiting or was done: send it, let the others work, and wait for the peer."""
        self._flush()
        await self._all.turns.take(self._share)
        if self._read_paused and self._engine.backlog <= BACKLOG_LIMIT and not self._closing:
            self._read_paused = False
            self._transport.resume_reading()
        if self._closing:
            raise ConnectionResetError("the connection is closed")
        await self._flow.room()

    async def _turn(self) -> None:
        """Outbox.give_way: let the others work. Long work for a peer that is gone ends here."""
        await self._all.turns.take(self._share)
        if self._closing or (self._eof and self._tls is not None):  # nobody closes half of a TLS connection
            raise ConnectionResetError("the connection is closed")

    def _ring(self) -> None:
        """Outbox.ring: a push. Rings of one instant become one write."""
        if not self._ringing and not self._working:
            self._ringing = True
            self._all.loop.call_soon(self._answer_ring)

    def _answer_ring(self) -> None:
        self._ringing = False
        self._tell()

    # --- TLS ----------------------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """The engine agreed to STARTTLS, and its answer is sent."""
        if self._engine.backlog or self._tls is not None:
            # RFC 3207 §6, RFC 8314 §3.5: an engine refuses this by itself; here is the second lock.
            self._emit("starttls_injection")
            self.abort()
            return
        self._start_tls()

    def _start_tls(self) -> None:
        self._tls = TlsLayer(self._service.context())
        self._unprocessed = 0
        patience = self._all.limits.handshake
        self._handshake_by = self._all.wheel.now + patience
        self._all.wheel.sooner(self, patience)

    def _handshake(self, tls: TlsLayer, octets: bytes) -> None:
        try:
            done = tls.handshake(octets)
        except TlsError as error:
            self._fail_tls(tls, error)
            return
        if not done or tls.info is None:
            if output := tls.output():
                self._transport.write(output)
            return  # else the greeting takes the output along, or `_decrypt` below
        self._handshake_by = 0.0
        self._heard = self._all.wheel.now
        self._link.tls = info = tls.info
        self._emit("tls", version=info.version, cipher=info.cipher, server_name=info.server_name)
        if self._service.implicit_tls:
            self._tell(self._engine.connected)
        else:
            self._tell(self._engine.tls_started, tls.info)
        if not self._closing:
            self._decrypt(tls, b"")  # the client's first command may have come with its Finished

    def _decrypt(self, tls: TlsLayer, octets: bytes) -> None:
        try:
            plaintext = tls.decrypt(octets)
        except TlsError as error:
            self._fail_tls(tls, error)
            return
        for piece in plaintext:
            self._take(piece)
        if output := tls.output():
            self._transport.write(output)
        if tls.ended and not self._eof:
            self._eof = True
            if not self._unprocessed:
                self._tell()

    def _fail_tls(self, tls: TlsLayer, error: TlsError) -> None:
        self._emit("tls_failed", reason=str(error))
        if alert := tls.output():
            self._transport.write(alert)
        self._close()
