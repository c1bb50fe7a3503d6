"""What a mechanism needs (credentials) and what it gives (an identity). RFC 4422.

Security: strangers feed mechanisms. A failed exchange tells nothing about which part was wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pillarbox.sasl.secret import Secret


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has logged in: the account's id in the store and its address."""

    account: int
    address: str


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677); keys and salt are raw octets."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class AuthenticationFailed(Exception):
    """Wrong name or password, or the account is disabled; the peer is not told which."""


class AuthenticationUnavailable(Exception):
    """Cannot be decided now (throttled, overloaded, store trouble); the text is fit for the peer. Never a wrong password."""


class Credentials(Protocol):
    """Verifies what one connection presents; bound to its peer address, so that it can throttle."""

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        """Raises AuthenticationFailed, AuthenticationUnavailable. A failure is answered late, on purpose."""

    async def scram_keys(self, authcid: str) -> ScramKeys:
        """Keys of the account, or plausible and stable ones for an unknown name. Raises AuthenticationUnavailable."""

    async def scram_verified(self, authcid: str) -> Identity:
        """The client proved that it knows the password. Raises AuthenticationFailed (unknown or disabled account)."""

    async def scram_rejected(self, authcid: str) -> None:
        """The client's proof was wrong: counts as a wrong password; returns after the delay."""

    def typed_in_clear(self, authcid: str, password: Secret) -> None:
        """These were sent outside of TLS, and refused. Returns at once, and nothing that the peer can see depends on it:
        whether it was the password is found out later, for its owner alone."""


class Channel(Protocol):
    """The TLS connection that an exchange runs in. `bindings`: its channel bindings by their names (RFC 5056)."""

    @property
    def bindings(self) -> Mapping[str, bytes]: ...


class Exchange(Protocol):
    """One running authentication exchange.

    `step` takes the client's response (None: no initial response was sent) and returns the next challenge, or an
    Identity when it is done. Raises AuthenticationFailed, AuthenticationUnavailable, BadExchange.
    """

    async def step(self, response: bytes | None) -> bytes | Identity: ...


class BadExchange(Exception):
    """The client's response is malformed (not base64 is the engine's matter; this is about what is inside)."""


class NotOurChannel(BadExchange):
    """The client's idea of the TLS connection is not ours: somebody may sit in the middle. The text is fit for the peer and
    for the log."""
