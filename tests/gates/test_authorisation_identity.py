"""Bob's password opens bob's account only, whichever mechanism and whomever he asks to act for (RFC 4422 §3.4.1).

The table has a row for each mechanism; one that comes without a row fails the test.
"""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable

import pytest

from pillarbox.access.passwords import hash_password
from pillarbox.access.service import Access
from pillarbox.sasl.api import AuthenticationFailed, BadExchange, Identity
from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.registry import MECHANISMS, UnknownMechanism, exchange
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Alias
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Link, TlsInfo

CHANNEL = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", bindings={"tls-exporter": b"exported"})
ALICE, BOB = "alice@example.test", "bob@example.test"
PASSWORDS = {ALICE: Secret("correct horse"), BOB: Secret("hunter2 hunter2")}
OTHERS = (
    ALICE,
    "alice",
    "ALICE@EXAMPLE.TEST",
    "u:alice",
    "dn:cn=alice",
    "alice@example.test\u200b",
    "boss@example.test",
    "root",
    "bob@example.test,a=alice@example.test",
    "bob@example.test\x00alice@example.test",
    "bob",  # not a name of his either when he logs in by another
)
"""Whom bob asks to be: alice by her names, her alias, an administrator."""

Client = Callable[[bytes | None], bytes | None]


@pytest.fixture
async def access() -> AsyncIterator[Access]:
    store = MemoryStore()
    await store.directory.add_domain("example.test")
    await store.directory.add_domain("second.test")  # so that a local part alone is nobody's name
    for address, password in PASSWORDS.items():
        await store.directory.add_account(address, hash_password(password))
    await store.directory.add_alias(Alias("boss@example.test", (ALICE,)))

    async def at_once(_seconds: float) -> None:
        """Nobody waits here."""

    running = Access(store.directory, sleep=at_once)
    yield running
    running.close()


async def plain(
    access: Access, authzid: str, authcid: str = BOB, password: Secret = PASSWORDS[BOB]
) -> Identity | bytes:
    running = exchange("PLAIN", access.credentials(Link(peer="192.0.2.7")), tls=CHANNEL)
    return await running.step(b"\0".join((authzid.encode(), authcid.encode(), password.reveal().encode())))


async def scram(
    access: Access,
    authzid: str,
    authcid: str = BOB,
    password: Secret = PASSWORDS[BOB],
    *,
    name: str = "SCRAM-SHA-256",
    flag: bytes = b"n",
    binding: bytes = b"",
) -> Identity | bytes:
    client = ScramClient(authcid, password, lambda: "client")
    # The client of the package asks for nobody; this one puts the name into its first message and the binding of it.
    header = flag + b",a=" + authzid.replace("=", "=3D").replace(",", "=2C").encode() + b","
    running = exchange(name, access.credentials(Link(peer="192.0.2.7")), tls=CHANNEL)
    first = client.initial()
    challenge = await running.step(header + first.removeprefix(b"n,,"))
    assert isinstance(challenge, bytes)
    final = rebound(client, password, header + binding, first.removeprefix(b"n,,"), challenge)
    await running.step(final)
    return await running.step(b"")


def rebound(client: ScramClient, password: Secret, header: bytes, bare: bytes, challenge: bytes) -> bytes:
    """The final message with another GS2 header, its proof made anew."""
    import hashlib
    import hmac

    fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal().encode(), b64decode(fields[b"s"]), int(fields[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=" + b64encode(header) + b",r=" + fields[b"r"]
    signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((bare, challenge, without_proof)), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return without_proof + b",p=" + b64encode(proof)


async def login(
    access: Access, authzid: str, authcid: str = BOB, password: Secret = PASSWORDS[BOB]
) -> Identity | bytes:
    """LOGIN has no authorisation identity; what some programs do instead is `authzid*authcid`, or two names in one."""
    running = exchange("LOGIN", access.credentials(Link(peer="192.0.2.7")), tls=CHANNEL)
    await running.step(None)
    await running.step(f"{authzid}*{authcid}".encode() if authzid else authcid.encode())
    return await running.step(password.reveal().encode())


async def scram_plus(
    access: Access, authzid: str, authcid: str = BOB, password: Secret = PASSWORDS[BOB]
) -> Identity | bytes:
    plus = {"name": "SCRAM-SHA-256-PLUS", "flag": b"p=tls-exporter", "binding": CHANNEL.bindings["tls-exporter"]}
    return await scram(access, authzid, authcid, password, **plus)  # type: ignore[arg-type]


TABLE = {"PLAIN": plain, "SCRAM-SHA-256": scram, "SCRAM-SHA-256-PLUS": scram_plus, "LOGIN": login}


def test_each_mechanism_has_a_row() -> None:
    assert set(TABLE) == set(MECHANISMS)


@pytest.mark.parametrize("mechanism", TABLE)
async def test_nobody_acts_for_another(access: Access, mechanism: str) -> None:
    for authzid in OTHERS:
        with pytest.raises((AuthenticationFailed, BadExchange)):
            await TABLE[mechanism](access, authzid)


@pytest.mark.parametrize("mechanism", TABLE)
async def test_his_own_name_is_fine(access: Access, mechanism: str) -> None:
    for authzid in ("", BOB) if mechanism != "LOGIN" else ("",):
        identity = await TABLE[mechanism](access, authzid)
        assert isinstance(identity, Identity)
        assert identity.address == BOB


@pytest.mark.parametrize("mechanism", TABLE)
async def test_an_alias_logs_in_nowhere(access: Access, mechanism: str) -> None:
    for name in ("boss@example.test", "alice+tag@example.test", "alice"):
        with pytest.raises(AuthenticationFailed):
            await TABLE[mechanism](access, "", name, PASSWORDS[ALICE])


@pytest.mark.parametrize(
    "name", ["OAUTHBEARER", "XOAUTH2", "EXTERNAL", "ANONYMOUS", "GSSAPI", "CRAM-MD5", "DIGEST-MD5"]
)
def test_no_other_mechanism_takes_a_name(access: Access, name: str) -> None:
    with pytest.raises(UnknownMechanism):
        exchange(name, access.credentials(Link(peer="192.0.2.7")), tls=CHANNEL)
