"""BDAT (RFC 3030): the message in counted chunks, of which the last says LAST."""

import re
from dataclasses import dataclass
from typing import Self

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp import grammar
from pillarbox.smtp.body import ChunkReader
from pillarbox.smtp.commands.data import open_intake
from pillarbox.smtp.registry import command
from pillarbox.smtp.session import Session

_ARGUMENTS = re.compile(r"(\d{1,20})( +LAST)?", re.IGNORECASE | re.ASCII)
_NO_TRANSACTION = Reply(503, "5.5.1", "Say MAIL and RCPT before BDAT")


@command("BDAT", "RFC 3030 §2", before_tls=True)
@dataclass(frozen=True, slots=True)
class Bdat:
    """Takes the next octets of the message, as many as it says."""

    size: int | None
    last: bool

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """`chunk-size [LAST]`; a size of None is malformed."""
        found = _ARGUMENTS.fullmatch(arguments)
        return cls(int(found[1]), found[2] is not None) if found else cls(None, last=False)

    async def run(self, session: Session) -> None:
        """Let the chunk come. It comes whatever we think of it, and a refusal is said after it (RFC 3030 §2)."""
        if self.size is None:
            session.leaving = True  # how much follows is unknown: the stream is out of step
            raise grammar.malformed("5.5.4", "The form is BDAT size [LAST]; closing the connection")
        if self.size:
            session.commands -= 1  # the limit of octets is enough for chunks that hold some
        transaction = session.transaction
        refused: Refused | None = None
        intake = None
        if transaction is None:
            refused = Refused(_NO_TRANSACTION)
        else:
            intake = transaction.intake
            if intake is None:
                try:
                    intake = open_intake(session, transaction)
                except Refused as reason:
                    refused = reason

        async def reply() -> Reply:
            if refused is not None:
                raise refused
            assert intake is not None
            if self.last or intake.fault is not None:
                return await session.complete()
            return Reply(250, "2.0.0", f"{self.size} octets received")

        session.read(ChunkReader(intake, self.size), reply)
