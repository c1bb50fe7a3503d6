"""SASL, client side: how this server logs in to a smarthost (RFC 4616, RFC 5802, RFC 7677).

Security: the other server may be hostile or an impostor. SCRAM never shows it the password, its iteration count is
bounded, and `succeeded` insists on the proof that it knew the keys. Use all of this inside TLS only.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Protocol

from pillarbox.sasl.api import BadExchange
from pillarbox.sasl.registry import fresh_nonce
from pillarbox.sasl.saslprep import ProhibitedText, saslprep
from pillarbox.sasl.scram_message import attributes, decode, encode, escape, expect, mac, salted_password, xor
from pillarbox.sasl.secret import Secret

MIN_ITERATIONS = 4096  # RFC 7677 §4: fewer would let an impostor guess the password cheaply
MAX_ITERATIONS = 200_000  # about a tenth of a second, on the event loop; servers ask for some ten thousand


class ClientExchange(Protocol):
    """One login. `initial` and `answer` give what to send, before base64; `answer` raises BadExchange: then cancel (`*`)."""

    @property
    def name(self) -> str:
        """The mechanism's name."""

    def initial(self) -> bytes | None:
        """The initial response; None when the server speaks first."""

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge."""

    def succeeded(self) -> None:
        """The server says that we are logged in. Raises BadExchange when it has not proved who it is (SCRAM)."""


def choose(
    offered: Iterable[str], username: str, password: Secret, *, nonce: Callable[[], str] = fresh_nonce
) -> ClientExchange | None:
    """The best mechanism that both sides speak, or None. `offered`: the names in the server's AUTH line, in any case."""
    names = {name.upper() for name in offered}
    if "SCRAM-SHA-256" in names:
        return ScramClient(username, password, nonce)
    if "PLAIN" in names:
        return PlainClient(username, password)
    if "LOGIN" in names:
        return LoginClient(username, password)
    return None


class PlainClient:
    """PLAIN (RFC 4616)."""

    name = "PLAIN"

    def __init__(self, username: str, password: Secret) -> None:
        self._username = username
        self._password = password

    def initial(self) -> bytes:
        """Everything at once."""
        return f"\0{self._username}\0{self._password.reveal()}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """A server that ignored the initial response asks with an empty challenge."""
        if challenge:
            raise BadExchange("PLAIN has no challenges")
        return self.initial()

    def succeeded(self) -> None:
        """PLAIN proves nothing about the server; TLS does."""


class LoginClient:
    """LOGIN. What the challenges say varies between servers; their order does not."""

    name = "LOGIN"

    def __init__(self, username: str, password: Secret) -> None:
        self._answers = [Secret(username), password]

    def initial(self) -> None:
        """The server asks first: not every one understands an initial response."""

    def answer(self, challenge: bytes) -> bytes:
        """Name, then password."""
        if not self._answers:
            raise BadExchange("the server asks for more than name and password")
        return self._answers.pop(0).reveal().encode()

    def succeeded(self) -> None:
        """LOGIN proves nothing about the server; TLS does."""


class ScramClient:
    """SCRAM-SHA-256. The channel binding flag is "n": this side cannot bind."""

    name = "SCRAM-SHA-256"

    def __init__(self, username: str, password: Secret, nonce: Callable[[], str]) -> None:
        self._password = password
        self._nonce = nonce()
        self._first_bare = b"n=" + escape(username) + b",r=" + self._nonce.encode()
        self._server_signature: bytes | None = None
        self._proved = False

    def initial(self) -> bytes:
        """client-first-message"""
        return b"n,," + self._first_bare

    def answer(self, challenge: bytes) -> bytes:
        """client-final-message, then the empty response once the server has proved itself."""
        if self._server_signature is None:
            return self._final(challenge) if challenge else self.initial()
        self._verify(challenge)
        return b""

    def _final(self, server_first: bytes) -> bytes:
        nonce, salt, count = expect(attributes(server_first), "rsi")
        if not nonce.startswith(self._nonce.encode()) or len(nonce) == len(self._nonce):
            raise BadExchange("the server's nonce does not continue ours")
        if not count.isdigit() or not MIN_ITERATIONS <= int(count[:12]) <= MAX_ITERATIONS:
            raise BadExchange(f"the server's iteration count is not between {MIN_ITERATIONS} and {MAX_ITERATIONS}")
        without_proof = b"c=biws,r=" + nonce  # biws is "n,,"
        signed = b",".join((self._first_bare, server_first, without_proof))
        salted = salted_password(self._prepared_password(), decode(salt), int(count))
        client_key = mac(salted, b"Client Key")
        stored_key = hashlib.sha256(client_key).digest()
        self._server_signature = mac(mac(salted, b"Server Key"), signed)
        return without_proof + b",p=" + encode(xor(client_key, mac(stored_key, signed)))

    def _prepared_password(self) -> bytes:
        try:
            return saslprep(self._password.reveal()).encode()
        except ProhibitedText as e:
            raise BadExchange(f"the password cannot be used with SCRAM: {e}") from None

    def _verify(self, server_final: bytes) -> None:
        given = attributes(server_final)
        if given[0][0] == "e":
            raise BadExchange("the server refused the login")
        (signature,) = expect(given, "v")
        if self._server_signature is None or not hmac.compare_digest(decode(signature), self._server_signature):
            raise BadExchange("the server does not know the password it should verify: an impostor")
        self._proved = True

    def succeeded(self) -> None:
        """Success without the server's signature is an impostor's (RFC 5802 §3)."""
        if not self._proved:
            raise BadExchange("the server claims success without having proved that it knows the password")
