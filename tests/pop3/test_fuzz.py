"""Whatever strangers send: only ConnectionError could leave the engine, and nothing grows."""

import random

import pytest
from tests.pop3.client import LOGIN, TLS, Office

WORDS = [
    b"USER ", b"PASS ", b"alice@example.test", b"open sesame", b"AUTH ", b"PLAIN", b"SCRAM-SHA-256 ", b"LOGIN", b"=", b"*",
    b"AGFsaWNlAHg=", b"biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1ub25jZQ==", b"CAPA", b"STAT", b"LIST", b"RETR ", b"TOP ", b"DELE ",
    b"RSET", b"NOOP", b"UIDL", b"UTF8", b"LANG ", b"en", b"1", b"2", b" ", b"-1", b"99999999999999", b"\xff\xfe", b"\xc3",
    b"\r", b"\n", b"\r\n", b"\r\n", b"\r\n", b"x" * 300, b"A" * 5000, b"\x00", b"+", b".",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_only_declared_exceptions_leave(seed: int) -> None:
    source = random.Random(seed)
    office = await Office.open(b"S: x\r\n\r\nbody\r\n", b"S: y\r\n")
    for _ in range(300):
        client = office.connect(tls=source.choice((TLS, TLS, None)))
        if source.random() < 0.5:
            await client.send(LOGIN)
        for _piece in range(source.randrange(1, 12)):
            said = b"".join(source.choices(WORDS, k=source.randrange(1, 6))) + source.choice((b"", b"\r\n"))
            reply = await client.send(said)
            assert client.engine.backlog <= client.engine.policy.sasl_line + 16
            for line in reply.split(b"\r\n"):
                assert not line or line[:4] in (b"+OK ", b"-ERR") or line[:2] == b"+ " or reply.count(b"\r\n.\r\n")
        client.engine.disconnected()
    assert "internal_error" not in [event for event, _ in office.events]


async def test_a_bug_is_written_down_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open()

    async def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(office.credentials, "check_password", broken)
    client = office.connect()
    reply = await client.send(LOGIN)
    assert reply.endswith(b"-ERR [SYS/TEMP] Something went wrong here, and it was written down; please try again\r\n")
    assert client.closed
    assert office.events[-1][0] == "internal_error"
