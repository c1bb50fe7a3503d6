"""SCRAM-SHA-256 against the RFCs' own examples, both sides, and what a stranger may send."""

import random

import pytest
from tests.sasl.credentials import FakeCredentials

from pillarbox.sasl.api import AuthenticationFailed, BadExchange, Identity, NotOurChannel
from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.scram import ScramExchange
from pillarbox.sasl.scram_message import decode, derive_keys, encode, escape, unescape
from pillarbox.sasl.secret import Secret
from pillarbox.wire.engine import TlsInfo

# RFC 7677 §3
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
SALT = decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")


UNBOUND = TlsInfo("TLSv1.3", "x")
BOUND = TlsInfo("TLSv1.3", "x", bindings={"tls-exporter": b"\0,=exporter", "tls-server-end-point": b"hash"})


def server(**passwords: str) -> tuple[ScramExchange, FakeCredentials]:
    credentials = FakeCredentials(passwords or {"user": "pencil"}, salt=SALT)
    return ScramExchange(credentials, lambda: SERVER_NONCE, UNBOUND), credentials


def bound_server(*, plus: bool = True) -> ScramExchange:
    return ScramExchange(FakeCredentials({"user": "pencil"}, salt=SALT), lambda: SERVER_NONCE, BOUND, plus=plus)


async def bind(flag: bytes, binding: bytes, *, plus: bool = True, signed: bool = True) -> bytes | Identity:
    """The login of a client made from RFC 5802 §7, whose channel has this binding; what the server says at its end."""
    exchange, bare = bound_server(plus=plus), b"n=user,r=client"
    challenge = await exchange.step(flag + b",," + bare)
    assert isinstance(challenge, bytes)
    nonce = challenge.split(b",")[0]
    final = b"c=" + encode(flag + b",," + binding) + b"," + nonce + b",p=" + encode(bytes(32))
    said = await exchange.step(resign(final, bare, challenge) if signed else final)
    assert said == resign_server(final, bare, challenge)
    return await exchange.step(b"")


async def test_server_side_of_the_example_in_rfc_7677() -> None:
    exchange, _ = server()
    assert await exchange.step(None) == b""
    assert await exchange.step(CLIENT_FIRST) == SERVER_FIRST
    assert await exchange.step(CLIENT_FINAL) == SERVER_FINAL
    assert await exchange.step(b"") == Identity(1, "user")


def test_client_side_of_the_example_in_rfc_7677() -> None:
    client = ScramClient("user", Secret("pencil"), lambda: CLIENT_NONCE)
    assert client.initial() == CLIENT_FIRST
    assert client.answer(SERVER_FIRST) == CLIENT_FINAL
    with pytest.raises(BadExchange, match="without having proved"):
        client.succeeded()
    assert client.answer(SERVER_FINAL) == b""
    client.succeeded()


async def test_client_and_server_agree_on_names_and_passwords_of_any_script() -> None:
    for name, password in [("a,b=c@example.test", "päss\u00adwörd"), ("\u00fcser", "пароль"), ("x", "\U0001f512 open")]:
        client = ScramClient(name, Secret(password), lambda: "client")
        exchange, _ = server(**{name: password.replace("\u00ad", "")})  # SASLprep maps the soft hyphen to nothing
        challenge = await exchange.step(client.initial())
        assert isinstance(challenge, bytes)
        challenge = await exchange.step(client.answer(challenge))
        assert isinstance(challenge, bytes)
        assert await exchange.step(client.answer(challenge)) == Identity(1, name)
        client.succeeded()


async def test_wrong_password_counts_and_unknown_name_fails_at_the_same_step() -> None:
    for name, password in [("user", "pencils"), ("nobody", "pencil")]:
        client = ScramClient(name, Secret(password), lambda: "client")
        exchange, credentials = server()
        challenge = await exchange.step(client.initial())
        assert isinstance(challenge, bytes)
        with pytest.raises(AuthenticationFailed):
            await exchange.step(client.answer(challenge))
        assert credentials.calls == [("scram_keys", name), ("scram_rejected", name)]


async def test_authzid_may_name_only_the_account_itself() -> None:
    for authzid, fine in [(b"", True), (b"a=user", True), (b"a=USER", True), (b"a=other", False)]:
        exchange, _ = server()
        client = ScramClient("user", Secret("pencil"), lambda: "client")
        first = b"n,%b,n=user,r=client" % authzid
        challenge = await exchange.step(first)
        assert isinstance(challenge, bytes)
        final = client.answer(challenge)
        # the client side of ours sends no authzid: sign again over the GS2 header that was really sent
        binding = b"c=" + encode(b"n,%b," % authzid)
        final = resign(final.replace(b"c=biws", binding), first.split(b",", 2)[2], challenge)
        if fine:
            assert await exchange.step(final) == resign_server(final, first.split(b",", 2)[2], challenge)
            assert await exchange.step(b"") == Identity(1, "user")
        else:
            with pytest.raises(AuthenticationFailed):
                await exchange.step(final)


def resign(final: bytes, bare: bytes, server_first: bytes) -> bytes:
    from hashlib import sha256

    from pillarbox.sasl.scram_message import mac, salted_password, xor

    without_proof = final.rpartition(b",p=")[0]
    client_key = mac(salted_password(b"pencil", SALT, 4096), b"Client Key")
    signature = mac(sha256(client_key).digest(), b",".join((bare, server_first, without_proof)))
    return without_proof + b",p=" + encode(xor(client_key, signature))


def resign_server(final: bytes, bare: bytes, server_first: bytes) -> bytes:
    from pillarbox.sasl.scram_message import mac

    without_proof = final.rpartition(b",p=")[0]
    server_key = derive_keys(b"pencil", SALT, 4096).server_key
    return b"v=" + encode(mac(server_key, b",".join((bare, server_first, without_proof))))


async def test_client_that_could_bind_but_was_not_offered_it_is_fine() -> None:
    exchange, _ = server()
    assert (
        await exchange.step(b"y,,n=user,r=client")
        == b"r=client" + SERVER_NONCE.encode() + SERVER_FIRST[SERVER_FIRST.index(b",s=") :]
    )


BAD_FIRST = [
    b"", b"n", b"n,", b"n,,", b"n,,n=user", b"n,,r=abc", b"n,,r=abc,n=user", b"n,,n=,r=abc", b"n,,n=user,r=",
    b"p=tls-unique,,n=user,r=abc", b"x,,n=user,r=abc", b"n,b=user,n=user,r=abc", b"n,,m=ext,n=user,r=abc",
    b"n,,n=us=er,r=abc", b"n,,n=us=2cer,r=abc", b"n,,n=\xff,r=abc", b"n,,n=user,r=a\x07c", b"n,,n=us\0er,r=abc",
    b"n,,n=user,r=" + b"a" * 5000, b"y,a=\xff,n=user,r=abc",
]  # fmt: skip


@pytest.mark.parametrize("message", BAD_FIRST)
async def test_malformed_first_message(message: bytes) -> None:
    exchange, credentials = server()
    with pytest.raises(BadExchange):
        await exchange.step(message)
    assert credentials.calls == []


BAD_FINAL = [
    b"", b"c=biws", CLIENT_FINAL.replace(b"c=biws", b"c=eSws"), CLIENT_FINAL.replace(b"c=biws", b"c=biw"),
    CLIENT_FINAL.replace(b"k0", b"k1"), CLIENT_FINAL[:-2], CLIENT_FINAL.replace(b",p=dHz", b",p=*"),
    CLIENT_FINAL.replace(b",p=", b",m=1,p="), CLIENT_FINAL.replace(b"p=", b"q="), b"p=" + CLIENT_FINAL,
]  # fmt: skip


@pytest.mark.parametrize("message", BAD_FINAL)
async def test_malformed_final_message(message: bytes) -> None:
    exchange, _ = server()
    await exchange.step(CLIENT_FIRST)
    with pytest.raises(BadExchange):
        await exchange.step(message)


async def test_extension_before_the_proof_is_signed_and_ignored() -> None:
    exchange, _ = server()
    await exchange.step(CLIENT_FIRST)
    final = resign(CLIENT_FINAL.replace(b",p=", b",x=new,p="), CLIENT_FIRST[3:], SERVER_FIRST)
    assert isinstance(await exchange.step(final), bytes)
    with pytest.raises(BadExchange):
        await exchange.step(b"more")


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=W22Z,i=4096",
        b"r=" + CLIENT_NONCE.encode() + b",s=W22Z,i=4096",
        b"r=" + CLIENT_NONCE.encode() + b"x,s=W22Z,i=4095",
        b"r=" + CLIENT_NONCE.encode() + b"x,s=W22Z,i=200001",
        b"r=" + CLIENT_NONCE.encode() + b"x,s=W22Z,i=99999999999999999999",
        b"r=" + CLIENT_NONCE.encode() + b"x,s=W22Z,i=-4096",
        b"r=" + CLIENT_NONCE.encode() + b"x,s=*,i=4096",
        b"e=unknown-user",
        b"m=1,r=" + CLIENT_NONCE.encode() + b"x,s=W22Z,i=4096",
        b"\xff\0",
    ],
)
def test_client_refuses_a_hostile_server(challenge: bytes) -> None:
    client = ScramClient("user", Secret("pencil"), lambda: CLIENT_NONCE)
    with pytest.raises(BadExchange):
        client.answer(challenge)


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=invalid-proof", b"", b"v=" + encode(bytes(32))])
def test_client_refuses_an_impostor(final: bytes) -> None:
    client = ScramClient("user", Secret("pencil"), lambda: CLIENT_NONCE)
    client.answer(SERVER_FIRST)
    with pytest.raises(BadExchange):
        client.answer(final)
    with pytest.raises(BadExchange):
        client.succeeded()


def test_escaping_of_names() -> None:
    for name in ["user", "a,b", "a=b", "=2C", "ü=,", ""]:
        assert unescape(escape(name)) == name


async def test_only_declared_errors_leave_whatever_is_sent() -> None:
    random.seed(7677)
    seeds = [CLIENT_FIRST, CLIENT_FINAL, b"y,a=user,n=user,r=x"]
    for _ in range(3000):
        exchange, _credentials = server()
        for _step in range(3):
            octets = bytearray(random.choice(seeds))
            for _change in range(random.randrange(4)):
                octets[random.randrange(len(octets))] = random.choice(b",=nrypcam\0\xff\xc3ab")
            try:
                await exchange.step(bytes(octets))
            except (BadExchange, AuthenticationFailed):
                break


async def test_a_login_that_is_bound_to_its_channel() -> None:
    for name, value in BOUND.bindings.items():
        assert await bind(b"p=" + name.encode(), value) == Identity(1, "user")


@pytest.mark.parametrize("binding", [b"", b"hash", b"\0,=exporteR", b"\0,=exporter\0"])
async def test_another_channel_is_refused_before_the_proof_is_looked_at(binding: bytes) -> None:
    for signed in (True, False):
        with pytest.raises(NotOurChannel):
            await bind(b"p=tls-exporter", binding, signed=signed)


@pytest.mark.parametrize("flag", [b"p=tls-unique", b"p=", b"p", b"n", b"y", b"p=tls-Exporter", b"p=\xff"])
async def test_plus_needs_a_binding_that_exists(flag: bytes) -> None:
    with pytest.raises(BadExchange):
        await bound_server().step(flag + b",,n=user,r=client")


async def test_without_plus_no_binding_is_taken_and_none_is_missed() -> None:
    for flag in (b"p=tls-exporter", b"p=tls-server-end-point"):
        with pytest.raises(BadExchange):
            await bound_server(plus=False).step(flag + b",,n=user,r=client")
    assert await bind(b"n", b"", plus=False) == Identity(1, "user")


async def test_who_was_told_that_we_cannot_bind_was_lied_to() -> None:
    with pytest.raises(NotOurChannel, match="told that it is not"):  # RFC 5802 §6
        await bound_server(plus=False).step(b"y,,n=user,r=client")
