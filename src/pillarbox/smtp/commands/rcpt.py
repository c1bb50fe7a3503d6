"""RCPT (RFC 5321 §4.1.1.3) adds a recipient."""

from collections.abc import Mapping
from typing import Self

import msgspec

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import RCPT_PARAMETERS, When, command
from pillarbox.smtp.session import Session

_UNKNOWN_PARAMETER = Reply(555, "5.5.4", "A parameter of RCPT is not known here")
_NOT_ASCII = Reply(553, "5.6.7", "An address outside of ASCII needs the parameter SMTPUTF8 at MAIL")
_TOO_MANY = Reply(452, "4.5.3", "Too many recipients; send the rest in another transaction")
_BEGUN = Reply(503, "5.5.1", "The message has begun; recipients come before it")
_OK = Reply(250, "2.1.5", "Recipient ok")


@command("RCPT", "RFC 5321 §4.1.1.3", when=When.TRANSACTION, utf8=True)
class Rcpt(msgspec.Struct, frozen=True):
    """Adds a recipient, or says why this one cannot be."""

    path: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """`TO:<path> [parameters]`."""
        path, end = grammar.path(arguments, "TO:", complaint="5.1.3")
        return cls(path, grammar.parameters(arguments, end))

    async def run(self, session: Session) -> Reply:
        """Check the parameters and ask the service."""
        transaction = session.transaction
        assert transaction is not None
        if transaction.intake is not None:
            raise Refused(_BEGUN)
        for name, value in self.parameters.items():
            known = RCPT_PARAMETERS.get(name)
            if known is None or not session.extended:
                raise Refused(_UNKNOWN_PARAMETER)
            known[1](session, value)
        if not transaction.utf8 and not self.path.isascii() and not session.policy.submission:
            raise Refused(_NOT_ASCII)  # RFC 6531 §3.5; see MAIL
        forward_path = ForwardPath(_recipient(self.path, session), self.parameters)
        envelope = transaction.envelope
        if any(forward_path == given for given in envelope.forward_paths):
            return _OK  # nobody gets a message twice
        if len(envelope.forward_paths) >= session.policy.max_recipients:
            raise Refused(_TOO_MANY)
        try:
            await session.service.check_recipient(session.client, envelope, forward_path)
        except Refused as refused:
            session.refused_recipients += refused.reply.is_permanent
            session.client.link.emit("recipient_refused", address=str(forward_path.address), reply=str(refused.reply))
            raise
        envelope.forward_paths.append(forward_path)
        return _OK


def _recipient(path: str, session: Session) -> Address:
    if path.lower() == "postmaster":  # RFC 5321 §4.1.1.3: without a domain
        return Address(path, session.policy.postmaster_domain or session.policy.hostname)
    return grammar.address(path, complaint="5.1.3")
