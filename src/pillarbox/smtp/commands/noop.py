"""NOOP (RFC 5321 §4.1.1.9)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("NOOP", "RFC 5321 §4.1.1.9", before_tls=True)
@dataclass(frozen=True, slots=True)
class Noop:
    """Does nothing, and says that all is well."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """Arguments are ignored."""
        return cls()

    async def run(self, session: Session) -> Reply:
        """All is well."""
        return Reply(250, "2.0.0", "Ok")
