"""EHLO (RFC 5321 §4.1.1.1)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import command, offered
from pillarbox.smtp.session import Session


@command("EHLO", "RFC 5321 §4.1.1.1", before_tls=True)
@dataclass(frozen=True, slots=True)
class Ehlo:
    """Says who the client is and asks for the list of extensions."""

    host: str

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """The host's name; whether it is well formed depends on the listener."""
        return cls(arguments)

    async def run(self, session: Session) -> Reply:
        """List what is offered here and now; an open transaction is aborted (RFC 5321 §4.1.4)."""
        host = grammar.host(self.host, lenient=session.policy.submission)
        session.reset()
        session.extended = True
        session.client.helo = host
        return Reply(250, "", "\n".join((session.policy.hostname, *offered(session))))
