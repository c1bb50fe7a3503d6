"""Sends messages to other servers: drives `smtp.client` over asyncio sockets, and keeps sessions open for the next one.

Security: certificates are checked where the peer's TLS mode says so (smarthosts); opportunistic TLS takes any (RFC 7435).
What comes before TLS never counts after it: the engine forgets it and the transport is read by TLS alone from then on.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from pillarbox.mail.status import Reply
from pillarbox.queue.attempt import Content, PeerFailed, TlsFailed
from pillarbox.queue.routing import Peer
from pillarbox.smtp.client.engine import SmtpClient, Want
from pillarbox.smtp.client.policy import ClientPolicy, TlsMode
from pillarbox.smtp.client.transaction import Transaction
from pillarbox.wire.engine import TlsInfo

PIECE = 64 * 1024
"""Octets collected before they are written: fewer system calls and TLS records than chunk by chunk."""


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """Seconds: `connect` until a connection stands, `handshake` for TLS, `idle` until an unused session is closed.
    `messages`: how many one session carries; servers close sessions that go on for ever. `source_address`: "" for any."""

    client: ClientPolicy = field(default_factory=ClientPolicy)
    connect: float = 30.0
    handshake: float = 30.0
    idle: float = 4.0
    messages: int = 100
    source_address: str = ""


Key = tuple[str, str, int, TlsMode, str]


def _key(peer: Peer) -> Key:
    """Sessions are shared by those who would get the same one."""
    return peer.host, peer.address, peer.port, peer.tls, peer.login.username if peer.login else ""


def opportunistic_context() -> ssl.SSLContext:
    """Encrypts without checking the certificate: better than plaintext, which is the alternative (RFC 7435 §3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a short key still keeps out those who only listen; plaintext does not
    return context


class SmtpSender:
    """Implements `queue.attempt.Sender`. `verified` is the context for peers whose certificate is checked."""

    def __init__(self, policy: SenderPolicy, *, verified: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._opportunistic = opportunistic_context()
        self._verified = verified or ssl.create_default_context()
        self._idle: dict[Key, list[_Session]] = {}

    async def send(self, peer: Peer, transaction: Transaction, content: Content) -> str:
        """See `Sender.send`."""
        session = await self._take(peer)
        try:
            await session.transact(transaction, content)
            if session.was_stale:
                transaction.outcomes = [None] * len(transaction.recipients)
                session = await self._open(peer)
                await session.transact(transaction, content)
        except BaseException:
            session.abort()
            raise
        if session.client.want is Want.READY and session.sent < self._policy.messages:
            self._keep(peer, session)
        else:
            await session.leave()
        tls = session.client.tls
        return tls.version if tls is not None else ""

    async def close(self) -> None:
        """Take leave from every server whose session is kept."""
        sessions = [s for kept in self._idle.values() for s in kept]
        self._idle.clear()
        await asyncio.gather(*(s.leave() for s in sessions))

    async def _take(self, peer: Peer) -> "_Session":
        """A session that is ready: one that is kept, or a new one. Raises PeerFailed, TlsFailed."""
        kept = self._idle.get(_key(peer), [])
        while kept:
            session = kept.pop()
            session.stop_timer()
            if not kept:
                self._idle.pop(_key(peer), None)
            if session.client.want is Want.READY:
                return session
            session.abort()
        return await self._open(peer)

    async def _open(self, peer: Peer) -> "_Session":
        session = _Session(peer, self._policy, self._context(peer))
        try:
            await session.open()
        except BaseException:
            session.abort()
            raise
        return session

    def _keep(self, peer: Peer, session: "_Session") -> None:
        self._idle.setdefault(_key(peer), []).append(session)
        session.start_timer(self._policy.idle, lambda: self._expire(peer, session))

    async def _expire(self, peer: Peer, session: "_Session") -> None:
        kept = self._idle.get(_key(peer), [])
        if session in kept:
            kept.remove(session)
            if not kept:
                del self._idle[_key(peer)]
            await session.leave()

    def _context(self, peer: Peer) -> ssl.SSLContext:
        return self._verified if peer.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT) else self._opportunistic


class _Session(asyncio.Protocol):
    """One connection and its client engine. Only one task uses it at a time."""

    def __init__(self, peer: Peer, policy: SenderPolicy, context: ssl.SSLContext) -> None:
        self.client = SmtpClient(policy.client, peer.tls, peer.login)
        self.sent = 0
        self.body_begun = False
        self._peer = peer
        self._policy = policy
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The greeting may be here before whoever asked for the connection is told that it stands.
        self._transport = cast(asyncio.Transport, transport)
        self.client.connected(self._tls_info() if self._peer.tls is TlsMode.IMPLICIT else None)

    def data_received(self, data: bytes) -> None:
        self.client.receive(data)
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.lost("the server closed the connection")
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # What the sender calls

    async def open(self) -> None:
        """Connect and get READY. Raises PeerFailed, TlsFailed."""
        await self._connect()
        while True:
            if await self._until(Want.READY, Want.TLS) is Want.READY:
                return
            await self._start_tls()

    async def transact(self, transaction: Transaction, content: Content) -> None:
        """One message. Afterwards every outcome is there; the session may be over."""
        client = self.client
        self.sent += 1
        self.body_begun = False
        client.send(transaction)
        if await self._until(Want.READY, Want.BODY, Want.CLOSED) is Want.BODY:
            self.body_begun = True
            await self._body(content)
            await self._until(Want.READY, Want.CLOSED)

    async def _body(self, content: Content) -> None:
        client = self.client
        async for chunk in content():
            for start in range(0, len(chunk), PIECE):
                client.body(chunk[start : start + PIECE])
                await self._flush()
            if client.failure is not None:
                return
        client.end_of_body()

    @property
    def was_stale(self) -> bool:
        """It was kept for reuse, and the server had left before this message: nothing is lost by trying anew."""
        return self.sent > 1 and self.client.failure is not None and not self.body_begun

    async def leave(self) -> None:
        """QUIT, without much patience."""
        self.stop_timer()
        if self.client.want is Want.READY:
            self.client.quit()
            await self._until(Want.CLOSED)
        self.abort()

    def abort(self) -> None:
        """Let go of the connection."""
        self.stop_timer()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def start_timer(self, seconds: float, expired: Callable[[], Awaitable[None]]) -> None:
        """Call `expired` unless the session is used before."""

        async def close() -> None:
            await expired()

        def ring() -> None:
            self._closing = asyncio.create_task(close())

        self._timer = asyncio.get_running_loop().call_later(seconds, ring)

    def stop_timer(self) -> None:
        """It is used again, or gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Steps

    async def _connect(self) -> None:
        peer, policy = self._peer, self._policy
        implicit = peer.tls is TlsMode.IMPLICIT
        source = (policy.source_address, 0) if policy.source_address else None
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(
            lambda: self,
            peer.address,
            peer.port,
            ssl=self._context if implicit else None,
            server_hostname=peer.host if implicit else None,
            ssl_handshake_timeout=policy.handshake if implicit else None,
            local_addr=source,
        )
        try:
            async with asyncio.timeout(policy.connect):
                await connecting
        except ssl.SSLError as error:
            raise TlsFailed(_tls_reply(error)) from None
        except TimeoutError:
            raise PeerFailed(Reply(451, "4.4.1", "the server did not answer the connection in time")) from None
        except OSError as error:
            raise PeerFailed(Reply(451, "4.4.1", f"no connection: {error.strerror or error}")) from None

    async def _start_tls(self) -> None:
        transport = self._transport
        if transport is None:
            raise PeerFailed(Reply(451, "4.4.2", "the server closed the connection"))
        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(
                transport,
                self,
                self._context,
                server_hostname=self._peer.host,
                ssl_handshake_timeout=self._policy.handshake,
            )
        except (OSError, ValueError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            raise TlsFailed(_tls_reply(error)) from None
        if encrypted is None:
            raise TlsFailed(Reply(451, "4.7.5", "the TLS handshake was broken off"))
        self._transport = encrypted
        self.client.tls_started(self._tls_info())

    def _tls_info(self) -> TlsInfo:
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        cipher = tls.cipher() if tls is not None else None
        return TlsInfo(tls.version() or "" if tls is not None else "", cipher[0] if cipher else "")

    async def _until(self, *wanted: Want) -> Want:
        """Write, read and wait until the client wants one of these. Raises PeerFailed when it CLOSED unexpectedly."""
        client = self.client
        while True:
            await self._flush()
            if client.want in wanted:
                return client.want
            if client.want is Want.CLOSED:
                raise PeerFailed(client.failure or Reply(451, "4.4.2", "the session ended"))
            if client.out.size:
                continue  # a reply came while we waited for room, and has its answer
            self._news.clear()
            try:
                async with asyncio.timeout(client.timeout):
                    await self._news.wait()
            except TimeoutError:
                client.lost(f"the server was silent for {client.timeout:.0f} seconds")

    async def _flush(self) -> None:
        """Write what waits; wait while the peer is slow."""
        transport = self._transport
        chunks = self.client.out.take()
        if transport is None:
            return
        if chunks and not transport.is_closing():
            transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if not self._room.is_set():
            try:
                async with asyncio.timeout(self.client.timeout):
                    await self._room.wait()
            except TimeoutError:
                self.client.lost(f"the server took nothing for {self.client.timeout:.0f} seconds")


def _tls_reply(error: Exception) -> Reply:
    reason = getattr(error, "reason", None) or type(error).__name__
    verify = getattr(error, "verify_message", "")
    text = f"the TLS handshake failed: {verify or str(reason).lower().replace('_', ' ')}"
    return Reply(451, "4.7.5", text)
