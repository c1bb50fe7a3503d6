"""PLAIN and LOGIN, both sides."""

import pytest
from tests.sasl.credentials import FakeCredentials

from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, BadExchange, Identity
from pillarbox.sasl.client import LoginClient, PlainClient, choose
from pillarbox.sasl.login import LoginExchange
from pillarbox.sasl.plain import PlainExchange
from pillarbox.sasl.secret import Secret

TIM = Identity(1, "tim")


def people() -> FakeCredentials:
    return FakeCredentials({"tim": "tanstaaftanstaaf", "Kurt": "xipj3plmq", "ünï": "pässwörd"})


@pytest.mark.parametrize(
    ("message", "identity"),
    [
        (b"\0tim\0tanstaaftanstaaf", TIM),  # RFC 4616 §4
        (b"tim\0tim\0tanstaaftanstaaf", TIM),
        (b"TIM\0tim\0tanstaaftanstaaf", TIM),
        ("\0ünï\0pässwörd".encode(), Identity(3, "ünï")),
    ],
)
async def test_plain(message: bytes, identity: Identity) -> None:
    assert await PlainExchange(people()).step(message) == identity
    exchange = PlainExchange(people())
    assert await exchange.step(None) == b""
    assert await exchange.step(message) == identity


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\0", b"tim\0tanstaaftanstaaf", b"\0\0tanstaaftanstaaf", b"\0tim\0", b"\0tim\0x\0y", b"\0\xff\0x",
        b"\0tim\0" + b"x" * 1025,
    ],
)  # fmt: skip
async def test_plain_malformed(message: bytes) -> None:
    credentials = people()
    with pytest.raises(BadExchange):
        await PlainExchange(credentials).step(message)
    assert credentials.calls == []


@pytest.mark.parametrize("message", [b"\0tim\0wrong", b"\0nobody\0x", b"Ursel\0Kurt\0xipj3plmq"])  # RFC 4616 §4: Ursel
async def test_plain_refused(message: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        await PlainExchange(people()).step(message)


async def test_login_asks_with_the_words_that_outlook_compares() -> None:
    exchange = LoginExchange(people())
    assert await exchange.step(None) == b"Username:"
    assert await exchange.step(b"tim") == b"Password:"
    assert await exchange.step(b"tanstaaftanstaaf") == TIM


async def test_login_takes_the_name_as_initial_response() -> None:
    exchange = LoginExchange(people())
    assert await exchange.step(b"tim") == b"Password:"
    with pytest.raises(AuthenticationFailed):
        await exchange.step(b"wrong")


@pytest.mark.parametrize("steps", [[None, b""], [b""], [b"tim", b""], [b"\xff"], [b"tim", b"x" * 2000], [b"a\0b"]])
async def test_login_malformed(steps: list[bytes | None]) -> None:
    exchange = LoginExchange(people())
    for step in steps[:-1]:
        await exchange.step(step)
    with pytest.raises(BadExchange):
        await exchange.step(steps[-1])


async def test_temporary_trouble_is_not_a_wrong_password() -> None:
    credentials = FakeCredentials({"tim": "x"}, unavailable="try again later")
    with pytest.raises(AuthenticationUnavailable, match="try again later"):
        await PlainExchange(credentials).step(b"\0tim\0x")


async def test_clients_talk_to_our_servers() -> None:
    assert await PlainExchange(people()).step(PlainClient("tim", Secret("tanstaaftanstaaf")).initial()) == TIM
    login, exchange = LoginClient("tim", Secret("tanstaaftanstaaf")), LoginExchange(people())
    assert login.initial() is None
    challenge = await exchange.step(None)
    while isinstance(challenge, bytes):
        challenge = await exchange.step(login.answer(challenge))
    assert challenge == TIM
    with pytest.raises(BadExchange):
        login.answer(b"And your bank account:")


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        (["PLAIN", "login", "scram-sha-256"], "SCRAM-SHA-256"),
        (["LOGIN", "PLAIN"], "PLAIN"),
        (["Login", "CRAM-MD5"], "LOGIN"),
        (["CRAM-MD5"], None),
        ([], None),
    ],
)
def test_client_chooses_the_best(offered: list[str], name: str | None) -> None:
    client = choose(offered, "tim", Secret("x"))
    assert (client and client.name) == name
