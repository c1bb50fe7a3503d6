"""RSET (RFC 5321 §4.1.1.5)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("RSET", "RFC 5321 §4.1.1.5", before_tls=True)
@dataclass(frozen=True, slots=True)
class Rset:
    """Aborts the transaction."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """No arguments."""
        grammar.no_arguments(arguments)
        return cls()

    async def run(self, session: Session) -> Reply:
        """Forget the envelope and the message."""
        session.reset()
        return Reply(250, "2.0.0", "Forgotten")
