"""STLS, timeouts, the server's end and the account's: how connections change and end."""

import pytest
from tests.pop3.client import LOGIN, TLS, Office

from pillarbox.pop3.policy import Policy
from pillarbox.wire.engine import Want

REFUSED = "-ERR Passwords are accepted inside TLS only: use port 995, or STLS first"


@pytest.mark.parametrize(
    "command", ["USER alice@example.test", "PASS x", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==", "AUTH XYZ"]
)
async def test_no_password_outside_of_tls(command: str) -> None:
    office = await Office.open()
    assert await office.connect(tls=None).say(command) == REFUSED
    assert office.credentials.calls == []


async def test_a_password_sent_in_the_clear_is_noted_without_it() -> None:
    office = await Office.open()
    await office.connect(tls=None).send(LOGIN)
    assert ("password_in_clear", {"command": "PASS"}) in office.events
    assert "open sesame" not in repr(office.events)


async def test_stls_then_login() -> None:
    client = (await Office.open()).connect(tls=None)
    assert await client.say("STLS") == "+OK Begin TLS"
    assert client.engine.want is Want.TLS
    client.engine.tls_started(TLS)
    assert client.engine.want is Want.OCTETS
    assert "STLS" not in await client.lines("CAPA")
    assert (await client.send(LOGIN)).endswith(b"+OK 0 messages\r\n")


@pytest.mark.parametrize("behind", [b"C", b"CAPA\r\n", LOGIN, b"\0", b"\r\n"])
async def test_what_follows_stls_in_the_clear_is_never_run(behind: bytes) -> None:
    office = await Office.open()
    client = office.connect(tls=None)
    assert await client.send(b"STLS\r\n" + behind) == b"-ERR Nothing may follow STLS before TLS\r\n"
    assert client.closed
    assert "starttls_injection" in [event for event, _ in office.events]
    late = office.connect(tls=None)
    await late.say("STLS")
    assert await late.send(behind) == b""
    assert late.closed
    late.engine.tls_started(TLS)
    assert late.closed


async def test_what_was_said_before_tls_is_forgotten() -> None:
    client = (await Office.open()).connect(tls=None)
    client.engine.session.username = "mallory"  # as if USER had been taken
    await client.say("STLS")
    client.engine.tls_started(TLS)
    assert await client.say("PASS open sesame") == "-ERR USER comes first"


async def test_http_is_gone_at_once_also_inside_tls() -> None:
    for tls in (None, TLS):
        client = (await Office.open()).connect(tls=tls)
        assert await client.send(b"POST / HTTP/1.1\r\n" + LOGIN) == b""
        assert client.closed


async def test_autologout_is_silent_and_deletes_nothing() -> None:
    office = await Office.open(b"Subject: x\r\n\r\n")
    stranger = office.connect()
    assert stranger.engine.timeout == Policy().login_timeout
    client = await office.login()
    assert client.engine.timeout == Policy().timeout >= 600  # RFC 1939 §3
    await client.say("DELE 1")
    client.engine.timed_out()
    assert client.closed
    assert client.engine.out.take() == []
    client.engine.disconnected()
    assert await office.uids() == [1]


async def test_the_server_stops() -> None:
    client = await (await Office.open()).login()
    rung = []
    client.engine.out.on_ring = lambda: rung.append(True)
    client.engine.shutting_down()
    assert b"".join(client.engine.out.take()).startswith(b"-ERR [SYS/TEMP] The server is going down")
    assert client.closed
    assert rung == [True]


async def test_sessions_end_when_the_password_changes() -> None:
    office = await Office.open()
    client = await office.login()
    hashes = await office.store.directory.hashes(1)
    assert hashes is not None
    await office.store.directory.set_hashes(1, hashes)
    assert client.closed
    client.engine.disconnected()
    assert (await (await office.login()).say("STAT")) == "+OK 0 0"


async def test_wrong_passwords_end_the_connection() -> None:
    office = await Office.open()
    client = office.connect()
    wrong = b"USER alice@example.test\r\nPASS wrong\r\n"
    for _ in range(2):
        assert (await client.send(wrong)).endswith(b"-ERR [AUTH] Wrong name or password\r\n")
        assert not client.closed
    assert (await client.send(wrong + LOGIN)).endswith(b"-ERR [AUTH] Wrong name or password\r\n")
    assert client.closed


async def test_not_now_is_not_a_wrong_password() -> None:
    office = await Office.open()
    office.credentials.unavailable = "Too many failed logins; try again in 2 minutes"
    reply = await office.connect().send(LOGIN)
    assert reply.endswith(b"-ERR [SYS/TEMP] Too many failed logins; try again in 2 minutes\r\n")


async def test_strangers_cannot_stay_by_asking() -> None:
    client = (await Office.open()).connect(policy=Policy(commands_before_login=3))
    for _ in range(3):
        await client.lines("CAPA")
    assert await client.send(b"CAPA\r\n" + LOGIN) == b"-ERR Too many commands without a login\r\n"
    assert client.closed


async def test_a_line_that_never_ends_ends_the_connection() -> None:
    client = (await Office.open()).connect()
    for _ in range(100):
        if not client.closed:
            await client.send(b"A" * 4096)
    assert client.closed
