"""AUTH (RFC 4954): SASL exchanges in base64.

Security: exists on submission inside TLS only. What the client sends is never repeated, logged or kept.
"""

import binascii
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Self

from pillarbox.mail.status import Refused, Reply
from pillarbox.sasl.api import (
    AuthenticationFailed,
    AuthenticationUnavailable,
    BadExchange,
    Exchange,
    Identity,
    NotOurChannel,
)
from pillarbox.sasl.registry import UnknownMechanism
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import When, command
from pillarbox.smtp.session import Session

_ALREADY = Reply(503, "5.5.1", "You are logged in already")
_NO_MECHANISM = Reply(504, "5.5.4", "This mechanism is not offered here")
_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
_NOT_BASE64 = Reply(501, "5.5.2", "This is not base64")
_MALFORMED = Reply(501, "5.5.2", "The response is malformed")
_FAILED = Reply(535, "5.7.8", "Wrong name or password")
_OK = Reply(235, "2.7.0", "Welcome")


@command(
    "AUTH",
    "RFC 4954",
    when=When.BETWEEN,
    offered=lambda session: session.policy.submission and bool(session.credentials),
)
@dataclass(frozen=True, slots=True)
class Auth:
    """Logs in with a SASL mechanism."""

    mechanism: str
    initial: str | None = field(repr=False)

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """`mechanism [initial-response]`."""
        mechanism, _, initial = arguments.partition(" ")
        if not mechanism:
            raise grammar.malformed("5.5.4", "The form is AUTH mechanism")
        return cls(mechanism.upper(), initial.strip() or None)

    async def run(self, session: Session) -> Reply:
        """Begin the exchange; the client's next lines belong to it."""
        if session.client.identity is not None:
            raise Refused(_ALREADY)
        if self.mechanism not in session.policy.mechanisms:
            raise Refused(_NO_MECHANISM)
        assert session.credentials is not None
        try:
            exchange = session.start_exchange(self.mechanism, session.credentials, tls=session.tls)
        except UnknownMechanism:
            raise Refused(_NO_MECHANISM) from None
        running = _Running(session, self.mechanism, exchange)
        if self.initial is None:
            return await running.step(None)
        # RFC 4954 §4: "=" is an initial response of no octets.
        return await running.step(b"" if self.initial == "=" else _decode(self.initial.encode()))


@dataclass(slots=True)
class _Running:
    """An exchange between two lines."""

    session: Session
    mechanism: str
    exchange: Exchange

    async def line(self, line: bytes) -> Reply:
        """The client's next line. Raises Refused."""
        if line.strip() == b"*":
            raise Refused(_CANCELLED)
        return await self.step(_decode(line))

    async def step(self, response: bytes | None) -> Reply:
        """Give the response to the mechanism. Raises Refused."""
        session = self.session
        try:
            result = await self.exchange.step(response)
        except AuthenticationFailed:
            session.auth_failures += 1
            session.client.link.emit("login_failed", mechanism=self.mechanism)
            session.leaving = session.auth_failures >= session.policy.max_auth_failures
            raise Refused(_FAILED) from None
        except AuthenticationUnavailable as reason:
            session.client.link.emit("login_failed", mechanism=self.mechanism, reason=str(reason))
            raise Refused(Reply(454, "4.7.0", str(reason))) from None
        except NotOurChannel as reason:
            session.client.link.emit("login_failed", mechanism=self.mechanism, reason=str(reason))
            raise Refused(Reply(535, "5.7.8", str(reason))) from None
        except BadExchange:
            raise Refused(_MALFORMED) from None
        if isinstance(result, Identity):
            session.log_in(result)
            session.client.link.emit("login", mechanism=self.mechanism, account=result.address)
            return _OK
        session.continuation = self.line
        return Reply(334, "", b64encode(result).decode())


def _decode(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line.strip(), strict_mode=True)
    except binascii.Error:
        raise Refused(_NOT_BASE64) from None
