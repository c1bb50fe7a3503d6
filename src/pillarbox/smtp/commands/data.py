"""DATA (RFC 5321 §4.1.1.4): the message, up to a line with only a dot."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.body import DotReader, Intake
from pillarbox.smtp.registry import When, command
from pillarbox.smtp.session import Session, Transaction

_CHUNKED = Reply(503, "5.5.1", "The message has begun with BDAT and ends with BDAT")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
_GO_AHEAD = Reply(354, "", "End the message with a line that has only a dot")


@command("DATA", "RFC 5321 §4.1.1.4", when=When.TRANSACTION)
@dataclass(frozen=True, slots=True)
class Data:
    """Takes the message up to a line that has only a dot, and takes responsibility for it."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """No arguments."""
        grammar.no_arguments(arguments)
        return cls()

    async def run(self, session: Session) -> Reply:
        """Open a body and give the go-ahead."""
        transaction = session.transaction
        assert transaction is not None
        if transaction.intake is not None:
            raise Refused(_CHUNKED)  # RFC 3030 §3
        session.read(DotReader(open_intake(session, transaction)), session.complete)
        return _GO_AHEAD


def open_intake(session: Session, transaction: Transaction) -> Intake:
    """Where the message's octets go, for DATA and the first BDAT. Raises Refused."""
    if not transaction.envelope.forward_paths:
        raise Refused(NO_RECIPIENTS)
    policy = session.policy
    transaction.intake = Intake(
        session.service.open_body(session.client, transaction.envelope),
        max_size=policy.max_message,
        max_header=policy.max_header,
        normalise=policy.submission,
        emit=session.client.link.emit,
    )
    return transaction.intake
