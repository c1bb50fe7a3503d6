"""HELP (RFC 5321 §4.1.1.8)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp.registry import COMMANDS, command
from pillarbox.smtp.session import Session


@command("HELP", "RFC 5321 §4.1.1.8", before_tls=True)
@dataclass(frozen=True, slots=True)
class Help:
    """Lists the commands."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """Arguments are ignored."""
        return cls()

    async def run(self, session: Session) -> Reply:
        """Name what exists in this session."""
        verbs = [e.verb for e in COMMANDS.values() if e.offered is None or e.offered(session)]
        return Reply(214, "2.0.0", "Commands: " + " ".join(sorted(verbs)))
