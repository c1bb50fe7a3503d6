"""QUIT (RFC 5321 §4.1.1.10)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("QUIT", "RFC 5321 §4.1.1.10", before_tls=True)
@dataclass(frozen=True, slots=True)
class Quit:
    """Ends the session."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """No arguments."""
        grammar.no_arguments(arguments)
        return cls()

    async def run(self, session: Session) -> Reply:
        """Say goodbye; an unfinished transaction is forgotten."""
        session.reset()
        session.leaving = True
        return Reply(221, "2.0.0", "Goodbye")
