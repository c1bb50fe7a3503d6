"""EXPN (RFC 5321 §4.1.1.7), which is refused."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("EXPN", "RFC 5321 §4.1.1.7", utf8=True)
@dataclass(frozen=True, slots=True)
class Expn:
    """Refuses to list who is behind an alias (RFC 5321 §7.3)."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """Arguments are ignored."""
        return cls()

    async def run(self, session: Session) -> Reply:
        """Never."""
        raise Refused(Reply(502, "5.7.2", "Lists are not shown to strangers"))
