"""How long a connection lives: what its peer may take time for, and the ways to end. connection.py has the rest.

Security: strangers decide how slow they are. Every wait has an end, whatever a peer does to seem alive.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from pillarbox.net.admission import Ticket
from pillarbox.net.connections import Connections, Service
from pillarbox.net.flow_control import FlowControl, gone, nobody
from pillarbox.net.observer import Tap
from pillarbox.net.timer_wheel import NOWHERE
from pillarbox.net.tls import TlsError, TlsLayer
from pillarbox.wire.engine import Link

LINGER_OCTETS = 2 * 1024 * 1024
"""Octets that are read after our last words: what was on its way then. Who sends more does not read."""


class Lifeline(asyncio.Protocol):
    """The part of a connection that knows about time and the end. `slot` is its place in the timer wheel."""

    __slots__ = (
        "_all", "_close_by", "_closing", "_engine", "_eof", "_flow", "_handshake_by", "_heard", "_lingered", "_link",
        "_login_by", "_opened", "_paced_from", "_paced_octets", "_read_paused", "_received",
        "_service", "_share", "_tap", "_task", "_ticket", "_tls", "_traffic", "_transport", "_working", "slot",
    )  # fmt: skip

    _engine: Any
    _link: Link
    _transport: asyncio.Transport

    def __init__(self, service: Service, connections: Connections) -> None:
        self.slot = NOWHERE
        self._service = service
        self._all = connections
        self._traffic = connections.traffic[service.name]
        self._flow = FlowControl()
        self._ticket: Ticket | None = None
        self._tls: TlsLayer | None = None
        self._tap: Tap | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard = self._opened = 0.0
        self._lingered = self._received = 0  # octets
        self._paced_from = 0.0  # loop time; 0 where nobody has to hand over a message
        self._paced_octets = 0
        self._share = ""  # whose turn its work takes: the account's, or before login the address block's
        self._handshake_by = self._login_by = self._close_by = 0.0  # loop time; 0 when it does not apply
        self._closing = self._eof = self._read_paused = self._working = False

    @abstractmethod
    def _tell(self, call: Callable[..., None] | None = None, *arguments: Any) -> None:
        """Tell the engine something, then do what it wants."""

    # --- what the rest of the server calls --------------------------------------------------------------------------

    def shut_down(self) -> None:
        """The server stops: let the engine say so and close, after the command that runs."""
        if self._closing:
            return
        if self._tls is not None and self._tls.info is None:
            self.abort()
            return
        self._tell(self._engine.shutting_down)

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._closing = True
        self._transport.abort()

    def cancel(self) -> None:
        """Stop the command that runs; for the end of the server's patience."""
        if self._task is not None:
            self._task.cancel()

    def check(self, now: float) -> float | None:
        """The wheel asks: what is due? Returns seconds to the next look."""
        stall = self._all.limits.write_stall
        pending = self._transport.get_write_buffer_size()
        if self._flow.stalled(now, pending, stall):
            self._emit("write_stalled", octets=pending)
            self.abort()
            return None
        if self._closing and pending:
            self._close_by = now + self._all.limits.linger  # it still takes what is due to it
        if deadline := self._close_by or self._handshake_by:
            if now < deadline:
                return deadline - now
            if not self._closing:
                self._emit("tls_failed", reason="handshake took too long")
            self.abort()
            return None
        timeout = float(self._engine.timeout)
        if self._working or pending:
            return min(timeout, stall / 2)  # it works, or the peer still reads
        left = self._heard + timeout - now
        if self._login_by:
            left = min(left, self._login_by - now)
        if self._paced_from:
            limits, octets = self._all.limits, self._received - self._paced_octets
            patience = self._paced_from + limits.message + octets / limits.slowest - now
            if patience <= 0:
                self._emit("too_slow", seconds=round(now - self._paced_from), octets=octets)
                self._paced_from = 0.0
            left = min(left, patience)
        if left > 0:
            return left
        self._heard = now
        self._tell(self._engine.timed_out)
        return float(self._engine.timeout)

    def _be_patient(self) -> None:
        """From now on the peer has time for one message: a drip of octets is not a message."""
        self._paced_from, self._paced_octets = self._all.wheel.now, self._received
        self._all.wheel.sooner(self, self._all.limits.message)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """A bug of ours: only this connection pays for it."""
        self._emit("bug", error=error)
        self.abort()

    def _refuse(self, reason: str) -> None:
        """No room for this peer: say so in its protocol where that costs nothing."""
        self._closing = True
        self._traffic.refused += 1
        self._emit("refused", service=self._service.name, reason=reason)
        if self._service.refusal and not self._service.implicit_tls:
            self._transport.write(self._service.refusal)
        self._transport.close()

    def make_room(self) -> None:
        """Others need the place, and this peer has shown less than they: it has to go at once (see admission.py)."""
        if self._closing:
            return
        self._traffic.made_room += 1
        self._emit("made_room", service=self._service.name)
        if self._transport.get_write_buffer_size() or (self._tls is not None and self._tls.info is None):
            self.abort()
            return
        self._closing = True
        if self._service.refusal:
            try:
                words = [self._service.refusal]
                self._transport.writelines(words if self._tls is None else self._tls.encrypt(words))
            except TlsError:
                pass
        self._transport.close()

    def _linger(self, received: int) -> None:
        """Octets after our last words, read so that a reset does not destroy those; but not for ever."""
        self._lingered += received
        if self._lingered > LINGER_OCTETS:
            self.abort()

    def _close(self) -> None:
        """Send what is waiting, then close. When the peer still sends, read on for a moment: a reset would destroy the
        reply that explains the end (RFC 9293 §3.6.1)."""
        if self._closing:
            return
        unread = bool(self._engine.backlog) or self._read_paused
        self._closing = True
        if self._tls is not None and (output := self._tls.close()):
            self._transport.write(output)
        self._close_by = self._all.wheel.now + self._all.limits.linger
        self._all.wheel.schedule(self, self._all.limits.linger)
        if unread and not self._eof:
            if self._read_paused:
                self._transport.resume_reading()
            self._transport.write_eof()
        else:
            self._transport.close()

    def _finish(self) -> None:
        """Exactly once, after everything."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        self._traffic.open -= 1
        try:
            self._engine.disconnected()
        except Exception as error:
            self._emit("bug", error=error)
        self._emit("disconnected", seconds=round(self._all.loop.time() - self._opened, 3))
        # No circle of references is left for the garbage collector.
        out = self._engine.out
        out.on_drain, out.on_turn, out.on_ring, self._link.emit = gone, gone, nobody, nobody
        if self._tap is not None:
            self._tap.closed()
        self._all.leave(self, ticket)

    def _emit(self, event: str, /, **facts: Any) -> None:
        if event == "login" and self._ticket is not None:
            self._login_by = 0.0
            self._share = str(facts.get("account") or self._share)
            self._all.admission.logged_in(self._ticket, self._share)
        if self._service.messages and event in ("login", "message_accepted"):
            self._be_patient()
        self._all.observer.emit(self._link, event, facts)
