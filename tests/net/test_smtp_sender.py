"""The sender over real sockets on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from tests.net.smtp_sink import SmtpSink

from pillarbox.net.smtp_sender import SenderPolicy, SmtpSender
from pillarbox.queue.attempt import PeerFailed, TlsFailed
from pillarbox.queue.routing import Peer
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.client.policy import ClientPolicy, Login, Timeouts, TlsMode
from pillarbox.smtp.client.transaction import Recipient, Transaction

MESSAGE = b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
AUTHORITY = trustme.CA()


def server_context(name: str = "sink.test") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


def verified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture
async def sender() -> AsyncIterator[SmtpSender]:
    running = SmtpSender(SenderPolicy(ClientPolicy("us.test")), verified=verified())
    yield running
    await running.close()


def peer(sink: SmtpSink, tls: TlsMode = TlsMode.OPPORTUNISTIC, login: Login | None = None) -> Peer:
    return Peer("sink.test", "127.0.0.1", sink.port, tls, login)


async def send(
    sender: SmtpSender, to: Peer, *recipients: str, octets: bytes = MESSAGE, chunk: int = 1 << 20
) -> tuple[list[str], str]:
    async def content() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), chunk):
            yield octets[start : start + chunk]

    transaction = Transaction("a@us.test", [Recipient(r) for r in recipients or ("b@sink.test",)], len(octets))
    tls = await sender.send(to, transaction, content)
    return [str(o) for o in transaction.outcomes], tls


@pytest.mark.parametrize("extensions", [(), ("PIPELINING", "SIZE 100000000", "8BITMIME")])
async def test_octets_arrive_as_they_are(sender: SmtpSender, extensions: tuple[str, ...]) -> None:
    large = b"Subject: big\r\n\r\n" + b"." * 70 + b"\r\n" + b"0123456789.\r\n.\r\n" * 300_000
    async with SmtpSink(*extensions) as sink:
        assert await send(sender, peer(sink)) == (["250 2.0.0 queued"], "")
        await send(sender, peer(sink), octets=large, chunk=100_001)
    assert sink.messages == [MESSAGE, large]
    assert sink.connections == 1


async def test_starttls_without_checking(sender: SmtpSender) -> None:
    async with SmtpSink("PIPELINING", context=server_context("somebody-else.test")) as sink:
        outcomes, tls = await send(sender, peer(sink))
    assert outcomes == ["250 2.0.0 queued"]
    assert tls == "TLSv1.3"
    assert sink.encrypted == 1
    assert [c.partition(" ")[0] for c in sink.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.IMPLICIT])
async def test_certificates_of_smarthosts_are_checked(sender: SmtpSender, mode: TlsMode) -> None:
    implicit = mode is TlsMode.IMPLICIT
    login = Login("relay", Secret("pencil"))
    async with SmtpSink(
        "AUTH PLAIN", context=server_context(), implicit=implicit, replies={"AUTH": b"235 ok\r\n"}
    ) as sink:
        assert (await send(sender, peer(sink, mode, login)))[0] == ["250 2.0.0 queued"]
        assert any(c.startswith("AUTH PLAIN ") for c in sink.commands)
    async with SmtpSink(context=server_context("somebody-else.test"), implicit=implicit) as sink:
        with pytest.raises(TlsFailed) as caught:
            await send(sender, peer(sink, mode, login))
    assert "match" in str(caught.value) or "verify" in str(caught.value)
    assert not any("MAIL" in c for c in sink.commands)


async def test_replies_before_tls_do_not_count(sender: SmtpSender) -> None:
    async with SmtpSink(context=server_context()) as sink:
        sink.injected = b"250-evil\r\n250 AUTH PLAIN\r\n250 2.1.0 ok\r\n"
        try:
            outcomes, _ = await send(sender, peer(sink))
        except TlsFailed:  # the octets got into the handshake instead: just as good
            return
    assert outcomes == ["250 2.0.0 queued"]
    assert sink.messages == [MESSAGE]


async def test_nobody_there(sender: SmtpSender) -> None:
    with pytest.raises(PeerFailed) as caught:
        await send(sender, Peer("sink.test", "127.0.0.1", 1, TlsMode.OPPORTUNISTIC))
    assert caught.value.reply.enhanced == "4.4.1"


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"hello\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_not_a_server_that_takes_mail(sender: SmtpSender, greeting: bytes) -> None:
    async with SmtpSink(greeting=greeting) as sink:
        with pytest.raises(PeerFailed):
            await send(sender, peer(sink))


async def test_silence_has_an_end() -> None:
    sender = SmtpSender(SenderPolicy(ClientPolicy("us.test", Timeouts(greeting=0.05))))
    async with SmtpSink(greeting=b"") as sink:
        with pytest.raises(PeerFailed) as caught:
            await send(sender, peer(sink))
    assert "silent" in caught.value.reply.text


async def test_broken_handshake() -> None:
    sender = SmtpSender(SenderPolicy(ClientPolicy("us.test"), handshake=0.05))
    async with SmtpSink("STARTTLS", replies={"STARTTLS": b"220 go\r\n250 this is no TLS\r\n" * 20}) as sink:
        with pytest.raises(TlsFailed):
            await send(sender, peer(sink))


async def test_the_connection_breaks_at_the_end_of_data(sender: SmtpSender) -> None:
    async with SmtpSink("PIPELINING", replies={"end": None}) as sink:
        outcomes, _ = await send(sender, peer(sink))
    assert outcomes == ["451 4.4.2 the server closed the connection"]


@pytest.mark.parametrize("farewell", [b"421 4.3.2 too long\r\n", None])
async def test_a_kept_session_that_died_is_replaced(sender: SmtpSender, farewell: bytes | None) -> None:
    async with SmtpSink("PIPELINING") as sink:
        await send(sender, peer(sink))
        (session,) = sink.sessions
        session.replies = {"MAIL": farewell}  # only for the session that stands
        assert (await send(sender, peer(sink)))[0] == ["250 2.0.0 queued"]
        sink.drop()
        assert (await send(sender, peer(sink)))[0] == ["250 2.0.0 queued"]
    assert sink.connections == 3
    assert len(sink.messages) == 3


async def test_unused_sessions_take_leave() -> None:
    sender = SmtpSender(SenderPolicy(ClientPolicy("us.test"), idle=0.01))
    async with SmtpSink() as sink:
        await send(sender, peer(sink))
        while "QUIT" not in sink.commands:
            await asyncio.sleep(0.005)
    await sender.close()


async def test_a_session_carries_a_bounded_number_of_messages() -> None:
    sender = SmtpSender(SenderPolicy(ClientPolicy("us.test"), messages=2))
    async with SmtpSink() as sink:
        for _ in range(4):
            await send(sender, peer(sink))
        await sender.close()
    assert sink.connections == 2
    assert sink.commands.count("QUIT") == 2


async def test_trouble_with_our_content_sends_nothing(sender: SmtpSender) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"Subject: x\r\n"
        raise OSError("disk")

    async with SmtpSink("PIPELINING") as sink:
        with pytest.raises(OSError, match="disk"):
            await sender.send(peer(sink), Transaction("a@us.test", [Recipient("b@sink.test")], 100), content)
    assert sink.messages == []
