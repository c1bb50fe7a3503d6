"""Check: one question that is asked of mail on its way; Verdict: its answer.

To add a check: one file here, and a place in the list that the server gives to reception or submission.
"""

from dataclasses import dataclass

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Client
from pillarbox.transfer.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` is what the peer is told, None to go on; `fields` are header fields (with CRLF) to add above."""

    refusal: Reply | None = None
    fields: bytes = b""


PASS = Verdict()


class Check:
    """What a check may look at, step by step; each step passes unless it is overridden."""

    async def sender(self, client: Client, envelope: Envelope) -> Verdict:
        """The reverse-path was given."""
        return PASS

    async def recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> Verdict:
        """A recipient was given; the envelope has those before it."""
        return PASS

    async def message(self, client: Client, envelope: Envelope, incoming: Incoming) -> Verdict:
        """The message is complete; its header may be changed."""
        return PASS

    def accepted(self, client: Client, envelope: Envelope) -> None:
        """The message is on disk."""
