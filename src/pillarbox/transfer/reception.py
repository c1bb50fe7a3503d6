"""Reception: mail from other servers (port 25), for accounts here and for nobody else.

Security: strangers feed this. No peer is trusted, loopback included: relaying is refused for everyone. What can be
decided is decided while the peer is still there, so that nothing has to be bounced to a forged sender.
"""

import time
from collections.abc import Callable, Sequence

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.service import Client
from pillarbox.store.api import Delivery, Store
from pillarbox.transfer import trace
from pillarbox.transfer.checks.loop import LoopCheck
from pillarbox.transfer.checks.verdict import Check
from pillarbox.transfer.handover import plan
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.queue_id import fresh_queue_id
from pillarbox.transfer.service import Arrival, TransferService

_NO_RELAYING = Reply(550, "5.7.1", "This server does not relay; it takes mail for its own domains only")


class Reception(TransferService):
    """The service of port 25. `checks` are asked before our own; see TransferService."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        checks: Sequence[Check] = (),
        *,
        clock: Callable[[], float] = time.time,
        queue_id: Callable[[], str] = fresh_queue_id,
    ) -> None:
        super().__init__(store, policy, (*checks, LoopCheck(policy.max_received)), clock=clock, queue_id=queue_id)

    async def judge_sender(self, client: Client, envelope: Envelope) -> None:
        """Anybody may write to us."""

    async def judge_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """Only who is here."""
        address = forward_path.address
        if not await self.book.is_ours(address):
            raise Refused(_NO_RELAYING)
        await self.check_destinations(envelope, await self.book.resolve(address))

    async def transfer(self, arrival: Arrival) -> None:
        """Into mailboxes; targets of aliases elsewhere into the queue, with the sender as it was."""
        arrival.incoming.header = trace.without_own_results(arrival.incoming.header, self.policy.hostname)
        planned = await plan(self.book, arrival.envelope.forward_paths)
        deliveries = [Delivery(account.id) for account in planned.accounts]
        relay = planned.relay(arrival.queue_id, arrival.envelope)
        await self.hand_over(arrival, deliveries, relay, show_client=True)
