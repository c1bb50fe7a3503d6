"""AUTH: a SASL exchange (RFC 5034), inside TLS only."""

import binascii

from pillarbox.pop3.errors import BadSyntax, Refused
from pillarbox.pop3.registry import State, capability, command
from pillarbox.pop3.reply import listing
from pillarbox.pop3.session import NO_TLS, Session
from pillarbox.sasl import registry as sasl
from pillarbox.sasl.api import BadExchange, Exchange, Identity, NotOurChannel
from pillarbox.sasl.leaked import Leak


@capability("SASL")
def _announced(session: Session) -> str | None:
    return " ".join(sasl.offered(session.link.tls)) or None


@command("AUTH [mechanism [initial-response]]", state=State.AUTHORIZATION, rfc="RFC 5034 §4", capability="SASL")
async def auth(session: Session, argument: bytes) -> bytes:
    """Begin an exchange; without a mechanism, list them as Outlook and older clients expect."""
    name, _, initial = argument.strip().partition(b" ")
    if session.link.tls is None:
        if initial:
            session.link.emit("password_in_clear", command="AUTH")
        session.leak = Leak(session.credentials, name.decode("latin-1"), initial.strip())
        raise Refused(NO_TLS)
    if not name:
        return listing("Mechanisms follow", sasl.offered(session.link.tls))
    try:
        exchange = sasl.exchange(name.decode("latin-1"), session.credentials, tls=session.link.tls, nonce=session.nonce)
    except sasl.UnknownMechanism:
        raise Refused("There is no such mechanism") from None
    dialogue = AuthDialogue(session, exchange, name.decode("latin-1").upper())
    session.dialogue = dialogue
    if not initial:
        return await dialogue.answer(None)
    return await dialogue.line(b"" if initial == b"=" else initial)  # RFC 5034 §4: = is an empty one


class AuthDialogue:
    """One running exchange; each line of the client is base64, or * to give up."""

    __slots__ = ("_exchange", "_mechanism", "_session")

    def __init__(self, session: Session, exchange: Exchange, mechanism: str) -> None:
        self._session = session
        self._exchange = exchange
        self._mechanism = mechanism

    async def line(self, line: bytes) -> bytes:
        """See `Dialogue.line`."""
        if line == b"*":
            self._session.dialogue = None
            raise Refused("Given up, as you wish")
        try:
            response = binascii.a2b_base64(line, strict_mode=True)
        except binascii.Error:
            self._session.dialogue = None
            raise BadSyntax("Base64 is expected") from None
        return await self.answer(response)

    async def answer(self, response: bytes | None) -> bytes:
        """Let the mechanism go on; returns its challenge or the final reply."""
        session = self._session
        session.dialogue = None
        try:
            result = await session.decide(self._mechanism, self._exchange.step(response))
        except NotOurChannel as reason:
            session.link.emit("login_failed", mechanism=self._mechanism, reason=str(reason))
            raise Refused(str(reason), "AUTH") from None
        except BadExchange as error:
            raise BadSyntax(f"The exchange failed: {error}") from None
        if isinstance(result, Identity):
            return await session.enter(self._mechanism, result)
        session.dialogue = self
        return b"+ %b\r\n" % binascii.b2a_base64(result, newline=False)
