"""HELO (RFC 5321 §4.1.1.1), for clients that know no extensions."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("HELO", "RFC 5321 §4.1.1.1", before_tls=True)
@dataclass(frozen=True, slots=True)
class Helo:
    """Says who the client is; no extension can be used after it."""

    host: str

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """The host's name; whether it is well formed depends on the listener."""
        return cls(arguments)

    async def run(self, session: Session) -> Reply:
        """Greet back; an open transaction is aborted (RFC 5321 §4.1.4)."""
        host = grammar.host(self.host, lenient=session.policy.submission)
        session.reset()
        session.extended = False
        session.client.helo = host
        return Reply(250, "", session.policy.hostname)
