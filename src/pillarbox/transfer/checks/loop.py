"""Mail that goes in circles (RFC 5321 §6.3)."""

from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Client
from pillarbox.transfer.checks.verdict import PASS, Check, Verdict
from pillarbox.transfer.incoming import Incoming
from pillarbox.transfer.trace import hops

_LOOP = Reply(554, "5.4.6", "Too many hops: this message is going in circles")


class LoopCheck(Check):
    """Refuses a message that has been received too often."""

    def __init__(self, max_received: int) -> None:
        self._max_received = max_received

    async def message(self, client: Client, envelope: Envelope, incoming: Incoming) -> Verdict:
        """Count its Received fields."""
        return Verdict(_LOOP) if hops(incoming.header) > self._max_received else PASS
