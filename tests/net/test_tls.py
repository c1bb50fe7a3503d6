"""TLS over real sockets: versions, STARTTLS and its border, names, reload, limits."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import pytest
import trustme
from tests.net.conftest import Issue
from tests.net.echo import EchoEngine, EchoServer

from pillarbox.net.connection import Connection
from pillarbox.net.connections import ConnectionLimits, Connections, Service
from pillarbox.net.tls import READ_PIECE, CertificateFiles, ServerTls, TlsProfile
from pillarbox.wire.engine import TlsInfo

NAME = "mail.example.test"


def _tls(*files: CertificateFiles, profile: TlsProfile | None = None) -> ServerTls:
    tls = ServerTls(profile or TlsProfile(alpn="imap"))
    tls.load(files)
    return tls


async def _open(server: EchoServer, context: ssl.SSLContext, name: str = NAME) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=name)
    assert await reader.readline() == b"hello\r\n"
    return reader, writer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions(issue: Issue, client_context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    client_context.minimum_version = client_context.maximum_version = version
    client_context.set_alpn_protocols(["imap"])
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        reader, writer = await _open(server, client_context)
        writer.write(b"one\r\ntwo\r\n")
        assert await reader.readline() == b"one\r\n"
        assert await reader.readline() == b"two\r\n"
        tls = server.engines[0].link.tls
        assert isinstance(tls, TlsInfo)
        assert (tls.version, tls.alpn, tls.server_name) == (version.name.replace("_", "."), "imap", NAME)
        assert "GCM" in tls.cipher or "CHACHA20" in tls.cipher
        writer.write(b"QUIT\r\n")
        assert await reader.read() == b"bye\r\n"
        writer.close()
        await server.recorder.wait("disconnected")


class Written(asyncio.Transport):
    """A transport that keeps what each write was given."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_greeting_and_last_words_are_one_write_each(
    issue: Issue, client_context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    client_context.minimum_version = client_context.maximum_version = version
    connections, transport = Connections(), Written()
    connection = Connection(Service("imaps", EchoEngine, _tls(issue(NAME)), implicit_tls=True), connections)
    connection.connection_made(transport)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=NAME)

    def exchange() -> None:
        connection.data_received(to_server.read())
        (flight,) = transport.writes
        transport.writes.clear()
        to_client.write(flight)

    for _ in range(2):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        exchange()
    client.do_handshake()
    assert client.read(100) == b"hello\r\n"
    client.write(b"QUIT\r\n")
    exchange()
    assert client.read(100) == b"bye\r\n"
    assert client.read(100) == b""  # our close_notify came along; without it this would want more
    assert transport.closed
    connection.connection_lost(None)
    assert len(connections) == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_old_versions_are_refused(issue: Issue, client_context: ssl.SSLContext) -> None:
    client_context.minimum_version = client_context.maximum_version = ssl.TLSVersion.TLSv1_1
    client_context.set_ciphers("ALL:@SECLEVEL=0")
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _open(server, client_context)
        assert "reason" in await server.recorder.wait("tls_failed")


async def test_another_alpn_or_none_is_served(issue: Issue, client_context: ssl.SSLContext) -> None:
    client_context.set_alpn_protocols(["http/1.1"])
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        _reader, writer = await _open(server, client_context)
        assert server.engines[0].link.tls is not None
        assert server.engines[0].link.tls.alpn is None
        writer.close()


async def test_large_answers_and_uploads(issue: Issue, client_context: ssl.SSLContext) -> None:
    size = 8 * 1024 * 1024
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        reader, writer = await _open(server, client_context)
        writer.write(b"BIG %d\r\n" % size)
        assert await reader.readexactly(size) == b"x" * size
        assert await reader.readline() == b"\r\n"
        assert await reader.readline() == b"done\r\n"
        lines = b"y" * 70 + b"\r\n"
        count = 3 * READ_PIECE // len(lines)
        writer.write(lines * count)
        assert await reader.readexactly(len(lines) * count) == lines * count
        writer.close()


async def test_names_choose_certificates(issue: Issue, client_context: ssl.SSLContext) -> None:
    files = issue(NAME), issue("mx.example.net", stem="net"), issue("*.example.org", stem="org")
    async with EchoServer(tls=_tls(*files), implicit_tls=True) as server:
        for name in (NAME, "mx.example.net", "any.example.org"):
            _reader, writer = await _open(server, client_context, name)  # verification is on
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await _open(server, client_context, "a.b.example.org")


async def test_new_certificate_is_served_to_new_connections(
    issue: Issue, client_context: ssl.SSLContext, authority: trustme.CA
) -> None:
    tls = _tls(issue(NAME))
    async with EchoServer(tls=tls, implicit_tls=True) as server:
        reader, writer = await _open(server, client_context)
        before = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        tls.load([issue(NAME)])
        _other_reader, other = await _open(server, client_context)
        assert other.get_extra_info("ssl_object").getpeercert()["serialNumber"] != before
        writer.write(b"still\r\n")
        assert await reader.readline() == b"still\r\n"
        writer.close()
        other.close()


def test_bad_files_leave_everything_as_it_was(issue: Issue) -> None:
    files = issue(NAME)
    tls = _tls(files)
    before = tls.context()
    files.certificate.write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        tls.load([files])
    with pytest.raises(FileNotFoundError):
        tls.load([CertificateFiles(files.certificate.with_name("gone"), files.key)])
    assert tls.context() is before


def test_no_tickets_on_port_25(issue: Issue) -> None:
    context = _tls(issue(NAME), profile=TlsProfile(alpn="smtp", tickets=False)).context()
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert all(c["kea"] == "kx-ecdhe" for c in context.get_ciphers() if c["protocol"] == "TLSv1.2")


def test_nobody_is_asked_for_a_certificate(issue: Issue) -> None:
    """Gmail's "send as" presents one when it is asked, and fails when nobody knows it."""
    for profile in (TlsProfile(alpn="smtp", tickets=False), TlsProfile(alpn="smtp"), TlsProfile(alpn="imap")):
        assert _tls(issue(NAME), profile=profile).context().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"EHLO me\r\n", b"\x80\x2e\x01", b"\x16\x02\x00"])
async def test_plaintext_on_a_tls_port_is_closed(issue: Issue, first: bytes) -> None:
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        assert await reader.read() == b""
        assert (await server.recorder.wait("tls_failed"))["reason"] == "plaintext where TLS was expected"
        writer.close()


async def test_handshake_that_never_ends(issue: Issue) -> None:
    shared = {"limits": ConnectionLimits(handshake=0.1), "tick": 0.02}
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True, **shared) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01")
        assert await reader.read() == b""
        assert (await server.recorder.wait("tls_failed"))["reason"] == "handshake took too long"
        writer.close()


# --- STARTTLS -----------------------------------------------------------------------------------------------------


class RawClient:
    """A client that decides which octets share a segment, and when TLS begins."""

    def __init__(self, port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.port = port

    async def __aenter__(self) -> "RawClient":
        self.socket = socket.socket()
        self.socket.setblocking(False)
        await self.loop.sock_connect(self.socket, ("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def send(self, octets: bytes) -> None:
        await self.loop.sock_sendall(self.socket, octets)

    async def receive(self, count: int = 65536) -> bytes:
        async with asyncio.timeout(10):
            return await self.loop.sock_recv(self.socket, count)

    async def everything(self) -> bytes:
        got = b""
        try:
            while piece := await self.receive():
                got += piece
        except ConnectionError:
            pass
        return got


async def test_starttls(issue: Issue, client_context: ssl.SSLContext) -> None:
    async with EchoServer(tls=_tls(issue(NAME))) as server, RawClient(server.port) as client:
        assert await client.receive() == b"hello\r\n"
        await client.send(b"STARTTLS\r\n")
        assert await client.receive() == b"go ahead\r\n"
        reader = asyncio.StreamReader()
        transport: Any
        transport, _ = await client.loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader),
            sock=client.socket,
            ssl=client_context,
            server_hostname=NAME,
        )
        transport.write(b"secret\r\n")
        assert await reader.readline() == b"secret\r\n"
        assert server.engines[0].calls == ["tls_started TLSv1.3"]
        transport.write(b"STARTTLS\r\n")  # this engine would do it again: the network does not
        await server.recorder.wait("starttls_injection")
        transport.abort()


async def test_octets_behind_starttls_in_the_same_segment(issue: Issue) -> None:
    async with EchoServer(tls=_tls(issue(NAME))) as server, RawClient(server.port) as client:
        assert await client.receive() == b"hello\r\n"
        await client.send(b"STARTTLS\r\nNOOP injected\r\n")
        assert await client.everything() == b"refused\r\n"


async def test_octets_behind_starttls_in_a_segment_of_their_own(issue: Issue) -> None:
    async with EchoServer(tls=_tls(issue(NAME))) as server, RawClient(server.port) as client:
        assert await client.receive() == b"hello\r\n"
        await client.send(b"STARTTLS\r\n")
        assert await client.receive() == b"go ahead\r\n"
        await client.send(b"NOOP injected\r\n")
        assert await client.everything() == b""
        assert (await server.recorder.wait("tls_failed"))["reason"] == "plaintext where TLS was expected"
        assert server.engines[0].calls == ["disconnected"]


async def test_plaintext_within_the_handshake_never_becomes_a_command(
    issue: Issue, client_context: ssl.SSLContext
) -> None:
    async with EchoServer(tls=_tls(issue(NAME))) as server, RawClient(server.port) as client:
        assert await client.receive() == b"hello\r\n"
        await client.send(b"STARTTLS\r\n")
        assert await client.receive() == b"go ahead\r\n"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        await client.send(outgoing.read() + b"NOOP injected\r\n")
        assert b"injected" not in await client.everything()
        assert "tls_started" not in "".join(server.engines[0].calls)
