"""STARTTLS: what is forgotten, and that nothing is smuggled into TLS."""

from dataclasses import replace

import pytest
from tests.smtp.dialog import MSA, MX, TLS, converse, same_in_every_cut

from pillarbox.wire.engine import Want

HELLO = b"EHLO client.example\r\n"
PLAIN = b"AUTH PLAIN AGFsaWNlAHBpbGxhcmJveA==\r\n"


@pytest.mark.parametrize("policy", [MX, MSA])
async def test_starts(policy: object) -> None:
    run = await same_in_every_cut(HELLO + b"STARTTLS\r\n", policy)  # type: ignore[arg-type]
    assert run.replies[1] == "220 2.0.0 Ready to start TLS"
    assert run.want is Want.TLS


async def test_forgets_what_was_said_before() -> None:
    run = await converse([HELLO + b"STARTTLS\r\n"], MSA)
    engine = run.engine
    engine.tls_started(TLS)
    assert engine.want is Want.OCTETS
    engine.receive(b"MAIL FROM:<a@b.example>\r\n" + HELLO + PLAIN + b"MAIL FROM:<alice@example.test>\r\nSTARTTLS\r\n")
    await engine.process()
    said = b"".join(engine.out.take()).decode().split("\r\n")
    finals = [line[:9] for line in said if line[3:4] == " "]
    assert finals == ["503 5.5.1", "250 SMTPU", "235 2.7.0", "250 2.1.0", "503 5.5.1"]
    assert not any("STARTTLS" in line for line in said)


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"x", b"\x16\x03\x01"])
async def test_octets_behind_it_are_refused(injected: bytes) -> None:
    run = await converse([HELLO + b"STARTTLS\r\n" + injected], MX)
    assert run.codes == ["250", "503"]
    assert run.want is Want.CLOSE


async def test_octets_before_the_handshake_are_dropped() -> None:
    run = await converse([HELLO, b"STARTTLS\r\n"], MX)
    run.engine.receive(b"MAIL FROM:<evil@b.example>\r\n")
    assert run.engine.backlog == 0
    run.engine.tls_started(TLS)
    await run.engine.process()
    assert run.engine.out.take() == []


@pytest.mark.parametrize(
    ("octets", "codes"),
    [
        (b"STARTTLS\r\n", ["503"]),
        (HELLO + b"STARTTLS now\r\n", ["250", "501"]),
        (HELLO + b"MAIL FROM:<>\r\nSTARTTLS\r\n", ["250", "250", "503"]),
    ],
)
async def test_out_of_order(octets: bytes, codes: list[str]) -> None:
    run = await same_in_every_cut(octets)
    assert run.codes == codes
    assert run.want is Want.OCTETS


async def test_twice() -> None:
    run = await converse([HELLO + b"STARTTLS\r\n"], MX, tls=TLS)
    assert run.codes == ["250", "503"]


async def test_without_a_certificate_it_does_not_exist() -> None:
    run = await converse([HELLO + b"STARTTLS\r\n"], replace(MX, starttls=False))
    assert b"250-STARTTLS" not in run.said
    assert run.codes == ["250", "502"]


async def test_http_right_after_tls() -> None:
    run = await converse([HELLO + b"STARTTLS\r\n"], MX)
    run.engine.tls_started(TLS)
    run.engine.receive(b"POST / HTTP/1.1\r\n\r\n")
    await run.engine.process()
    assert run.engine.want is Want.CLOSE


async def test_protocol_keywords() -> None:
    message = b"MAIL FROM:<alice@example.test>%s\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n.\r\n"
    for policy, tls, hello, parameters, expected in (
        (MX, None, b"HELO x\r\n", b"", "SMTP"),
        (MX, None, HELLO, b"", "ESMTP"),
        (MX, TLS, HELLO, b"", "ESMTPS"),
        (MSA, TLS, HELLO + PLAIN, b"", "ESMTPSA"),
        (MX, None, HELLO, b" SMTPUTF8", "UTF8SMTP"),
        (MX, TLS, HELLO, b" SMTPUTF8", "UTF8SMTPS"),
        (MSA, TLS, HELLO + PLAIN, b" SMTPUTF8", "UTF8SMTPSA"),
    ):
        run = await converse([hello + message % parameters], policy, tls=tls)
        assert run.service.accepted[0][3] == expected
