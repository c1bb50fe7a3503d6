"""AUTHENTICATE (RFC 9051 §6.2.2) with an initial response (SASL-IR, RFC 4959). The mechanisms are those of `sasl.registry`.

Security: responses never reach a log; they are not part of anything that is printed.
"""

import binascii
from dataclasses import dataclass, field
from typing import Self

from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.errors import BadSyntax, Refused
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import Dialogue, State, command
from pillarbox.imap.response import Completion, bad, no, ok
from pillarbox.imap.session import Session
from pillarbox.sasl.api import (
    AuthenticationFailed,
    AuthenticationUnavailable,
    BadExchange,
    Exchange,
    Identity,
    NotOurChannel,
)
from pillarbox.sasl.leaked import Leak
from pillarbox.sasl.registry import TlsRequired, UnknownMechanism, exchange
from pillarbox.wire.outbox import Outbox


@command("AUTHENTICATE", state=State.NOT_AUTHENTICATED, private=True)
@dataclass(frozen=True, slots=True)
class Authenticate:
    """A mechanism's name, and the client's first response if it sent one."""

    mechanism: str
    initial: bytes | None = field(repr=False)

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        mechanism = cursor.sp().keyword()
        if cursor.at_end:
            return cls(mechanism, None)
        initial = cursor.sp().rest()
        return cls(mechanism, b"" if initial == b"=" else _decode(initial))

    async def run(self, session: Session, out: Outbox) -> Completion | Dialogue:
        try:
            running = exchange(self.mechanism, session.credentials, tls=session.link.tls, nonce=session.nonce)
        except TlsRequired:
            session.link.emit("password_in_clear", command="AUTHENTICATE")
            initial = binascii.b2a_base64(self.initial or b"", newline=False)
            session.leak = Leak(session.credentials, self.mechanism, initial)
            raise Refused("Passwords are taken inside TLS only: use STARTTLS, or port 993", "PRIVACYREQUIRED") from None
        except UnknownMechanism:
            raise Refused("That mechanism is not known here", "CANNOT") from None
        dialogue = _Responses(self.mechanism, running)
        return await dialogue.step(self.initial, session, out) or dialogue


@dataclass(slots=True)
class _Responses:
    """The exchange that is going on."""

    mechanism: str
    exchange: Exchange = field(repr=False)

    async def line(self, line: bytes, session: Session, out: Outbox) -> Completion | None:
        if line == b"*":
            return bad("AUTHENTICATE was cancelled")
        return await self.step(_decode(line), session, out)

    async def step(self, response: bytes | None, session: Session, out: Outbox) -> Completion | None:
        """Hand the client's response on; None when the client has to answer a challenge."""
        try:
            outcome = await self.exchange.step(response)
        except AuthenticationFailed:
            return session.login_failed(self.mechanism)
        except AuthenticationUnavailable as reason:
            session.link.emit("login_failed", mechanism=self.mechanism, reason=str(reason))
            return no(str(reason), "UNAVAILABLE")
        except NotOurChannel as reason:
            session.link.emit("login_failed", mechanism=self.mechanism, reason=str(reason))
            return no(str(reason), "AUTHENTICATIONFAILED")
        except BadExchange:
            return bad("The response does not belong to that mechanism")
        if isinstance(outcome, Identity):
            session.log_in(outcome, self.mechanism)
            return ok("Logged in", f"CAPABILITY {capabilities(session)}")
        # "+ " with its space even when the challenge is empty: the Gmail app insists on it.
        out.write(b"+ " + binascii.b2a_base64(outcome, newline=False) + b"\r\n")
        return None


def _decode(base64: bytes) -> bytes:
    try:
        return binascii.a2b_base64(base64, strict_mode=True)
    except binascii.Error:
        raise BadSyntax("Expected base64") from None
