"""VRFY (RFC 5321 §4.1.1.6), which gives nothing away."""

from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session


@command("VRFY", "RFC 5321 §4.1.1.6", utf8=True)
@dataclass(frozen=True, slots=True)
class Vrfy:
    """Answers neither yes nor no: addresses are not for guessing (RFC 5321 §7.3)."""

    name: str

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """A name or an address, of which nothing is made. UTF-8 needs SMTPUTF8 (RFC 6531 §3.7.4.2)."""
        if not arguments:
            raise grammar.malformed("5.5.4", "The form is VRFY name")
        if not arguments.isascii() and not arguments.upper().endswith(" SMTPUTF8"):
            raise grammar.malformed("5.5.2", "A name outside of ASCII needs the parameter SMTPUTF8")
        return cls(arguments)

    async def run(self, session: Session) -> Reply:
        """Say that delivery will be tried."""
        return Reply(252, "2.5.0", "Not verified, but send the message and delivery will be tried")
