"""MAIL (RFC 5321 §4.1.1.2) begins a transaction."""

from collections.abc import Mapping
from typing import Self

import msgspec

from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import MAIL_PARAMETERS, When, command
from pillarbox.smtp.session import Session, Transaction

_UNKNOWN_PARAMETER = Reply(555, "5.5.4", "A parameter of MAIL is not known here")
_NOT_ASCII = Reply(550, "5.6.7", "An address outside of ASCII needs the parameter SMTPUTF8")
_OK = Reply(250, "2.1.0", "Sender ok")


@command("MAIL", "RFC 5321 §4.1.1.2", when=When.BETWEEN, login=True, utf8=True)
class Mail(msgspec.Struct, frozen=True):
    """Begins a transaction: the reverse-path, where failures are reported, and parameters."""

    path: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """`FROM:<path> [parameters]`."""
        path, end = grammar.path(arguments, "FROM:", complaint="5.1.7")
        return cls(path, grammar.parameters(arguments, end))

    async def run(self, session: Session) -> Reply:
        """Check the parameters and ask the service."""
        for name, value in self.parameters.items():
            known = MAIL_PARAMETERS.get(name)
            if known is None or not session.extended:
                raise Refused(_UNKNOWN_PARAMETER)
            known[1](session, value)
        utf8 = "SMTPUTF8" in self.parameters
        if not utf8 and not self.path.isascii() and not session.policy.submission:
            raise Refused(_NOT_ASCII)  # RFC 6531 §3.5; our own people's programs (Apple Mail on iOS) forget to say it
        reverse_path = grammar.address(self.path, complaint="5.1.7") if self.path else None
        envelope = Envelope(reverse_path, self.parameters)
        session.client.protocol = session.protocol(utf8=utf8)
        try:
            await session.service.check_sender(session.client, envelope)
        except Refused as refused:
            session.client.link.emit("sender_refused", address=self.path, reply=str(refused.reply))
            raise
        session.transaction = Transaction(envelope)
        return _OK
