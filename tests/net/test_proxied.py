"""The PROXY protocol over real sockets: whose address counts, who is let in, and what comes behind the header."""

import asyncio
import ssl
from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.net.conftest import Issue
from tests.net.echo import EchoServer
from tests.wire.test_proxy_header import BAD, LOCAL, PROXY, TCP6, UNSPECIFIED, addresses, binary

from pillarbox.net import proxied
from pillarbox.net.admission import AdmissionLimits
from pillarbox.net.tls import ServerTls, TlsProfile

TEXT = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"
BINARY = binary(PROXY, TCP6, addresses("2001:db8::1", "2001:db8::2", 4000, 993) + b"\x03\x00\x04abcd")


def behind(server: EchoServer, *networks: str) -> EchoServer:
    """The server, behind proxies in these networks."""
    listener = server.listener
    listener.service = replace(listener.service, proxies=tuple(map(ip_network, networks or ("127.0.0.0/8",))))
    return server


async def _everything(port: int, *writes: bytes) -> bytes:
    """What the server says to these octets until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for octets in writes:
        writer.write(octets)
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("header", "peer", "local"),
    [(TEXT, ("192.0.2.1", 56324), ("198.51.100.7", 25)), (BINARY, ("2001:db8::1", 4000), ("2001:db8::2", 993))],
)
async def test_the_address_is_the_clients(header: bytes, peer: tuple[str, int], local: tuple[str, int]) -> None:
    async with behind(EchoServer()) as server:
        whole = header + b"one\r\nQUIT\r\n"
        for writes in ([whole], [header, b"one\r\n", b"QUIT\r\n"], [bytes([octet]) for octet in whole]):
            assert await _everything(server.port, *writes) == b"hello\r\none\r\nbye\r\n"
            link = server.engines[-1].link
            assert ((link.peer, link.peer_port), (link.local, link.local_port)) == (peer, local)
        assert (await server.recorder.wait("connected"))["proxy"] == "127.0.0.1"


@pytest.mark.parametrize("header", [binary(LOCAL, UNSPECIFIED, b""), b"PROXY UNKNOWN\r\n"])
async def test_a_proxy_that_speaks_for_itself(header: bytes) -> None:
    async with behind(EchoServer()) as server:
        assert await _everything(server.port, header + b"QUIT\r\n") == b"hello\r\nbye\r\n"
        assert server.engines[-1].link.peer == "127.0.0.1"


async def test_tls_begins_behind_the_header(issue: Issue, client_context: ssl.SSLContext) -> None:
    tls = ServerTls(TlsProfile())
    tls.load([issue("mail.example.test")])
    async with behind(EchoServer(tls=tls, implicit_tls=True)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(BINARY)
        await writer.start_tls(client_context, server_hostname="mail.example.test")
        assert await reader.readline() == b"hello\r\n"
        assert server.engines[-1].link.peer == "2001:db8::1"
        writer.close()


async def test_who_is_no_proxy_is_refused() -> None:
    async with behind(EchoServer(), "192.0.2.0/24", "2001:db8::/32") as server:
        for octets in (b"", TEXT):
            assert await _everything(server.port, octets) == b""
        reason = (await server.recorder.wait("proxy_refused"))["reason"]
        assert reason == "127.0.0.1 is not in `listeners.echo.proxy_from`"
        assert server.engines == []


@pytest.mark.parametrize("octets", [b"QUIT\r\n", b"\x16\x03\x01\x02\x00", *BAD[-12::4]])
async def test_a_proxy_without_the_header_is_refused(octets: bytes) -> None:
    async with behind(EchoServer()) as server:
        assert await _everything(server.port, octets) == b""
        assert "header" in (await server.recorder.wait("proxy_refused"))["reason"]
        assert server.engines == []


async def test_a_header_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied, "PATIENCE", 0.05)
    async with behind(EchoServer()) as server:
        assert await _everything(server.port, TEXT[:-1]) == b""
        assert (await server.recorder.wait("proxy_refused"))["reason"] == "no header of the PROXY protocol came"


async def test_too_many_without_header_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied, "MAX_WAITING", 2)
    async with behind(EchoServer()) as server:
        waiting = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        assert await _everything(server.port) == b""
        assert "too many" in (await server.recorder.wait("proxy_refused"))["reason"]
        waiting[0][1].write(TEXT)
        assert await waiting[0][0].readline() == b"hello\r\n"
        waiting.append(await asyncio.open_connection("127.0.0.1", server.port))
        waiting[2][1].write(TEXT)
        assert await waiting[2][0].readline() == b"hello\r\n"
        server.listener.stop()  # nobody who waits is forgotten
        assert await waiting[1][0].read() == b""
        for _, writer in waiting:
            writer.close()


async def test_clients_are_counted_by_their_own_addresses() -> None:
    admission = AdmissionLimits(per_block=1)
    async with behind(EchoServer(admission=admission)) as server:
        first = await asyncio.open_connection("127.0.0.1", server.port)
        first[1].write(TEXT)
        assert await first[0].readline() == b"hello\r\n"
        assert await _everything(server.port, TEXT) == b"full\r\n"
        assert await _everything(server.port, BINARY + b"QUIT\r\n") == b"hello\r\nbye\r\n"
        first[1].close()
