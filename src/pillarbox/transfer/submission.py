"""Submission: mail from our own accounts (ports 465 and 587; RFC 6409).

One call of the store holds everything: recipients here, recipients elsewhere (the queue), the copy in Sent.

Security: an account writes from its own addresses only, and to a limited number of recipients; where it writes from is not
told to the recipients.
"""

import time
from collections.abc import Callable, Sequence

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.service import Client
from pillarbox.store.api import Delivery, Store
from pillarbox.store.flags import SEEN
from pillarbox.transfer.checks.authorship import AuthorshipCheck
from pillarbox.transfer.checks.loop import LoopCheck
from pillarbox.transfer.checks.rate import RateCheck, Sent
from pillarbox.transfer.checks.verdict import Check
from pillarbox.transfer.completion import complete
from pillarbox.transfer.confirmation import Confirmations
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.handover import full, plan
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.queue_id import fresh_queue_id
from pillarbox.transfer.service import Arrival, TransferService

_CLOSED = Reply(550, "5.7.1", "Your account is closed")
_NO_ROUTES = Reply(550, "5.1.3", "Addresses with % or ! on other domains are not taken: routes are not followed")
_NO_LITERALS = Reply(550, "5.1.2", "Mail goes to domains, not to addresses of hosts")


class Submission(TransferService):
    """The service of ports 465 and 587. `monotonic` is the clock of the rate limits, `sent` what they count;
    see TransferService."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        checks: Sequence[Check] = (),
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        queue_id: Callable[[], str] = fresh_queue_id,
        sent: Sent | None = None,
    ) -> None:
        ours = (
            AuthorshipCheck(AddressBook(store.directory, policy)),
            RateCheck(policy.recipients_per_hour, policy.recipients_per_day, monotonic, sent),
            LoopCheck(policy.max_received),
        )
        super().__init__(store, policy, (*ours, *checks), clock=clock, queue_id=queue_id)
        self._confirmations = Confirmations(store, self.book, policy.hostname, queue_id)

    async def judge_sender(self, client: Client, envelope: Envelope) -> None:
        """The account may have been closed since the login."""
        assert client.identity is not None
        account = await self.store.directory.account_by_id(client.identity.account)
        if account is None or account.disabled:
            raise Refused(_CLOSED)

    async def judge_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """Whoever is here, and any domain elsewhere."""
        address = forward_path.address
        if await self.book.is_ours(address):
            await self.check_destinations(envelope, await self.book.resolve(address))
        elif address.domain.startswith("["):
            raise Refused(_NO_LITERALS)
        elif "%" in address.local_part or "!" in address.local_part:
            raise Refused(_NO_ROUTES)

    async def transfer(self, arrival: Arrival) -> None:
        """Into mailboxes here, the queue, and Sent."""
        identity, incoming = arrival.client.identity, arrival.incoming
        assert identity is not None
        incoming.header, incoming.own_header = complete(
            incoming.header, message_id=f"{arrival.queue_id}@{self.policy.hostname}", now=arrival.now
        )
        planned = await plan(self.book, arrival.envelope.forward_paths)
        relay = planned.relay(arrival.queue_id, arrival.envelope, account=identity.account)
        if relay is not None and not incoming.is_seven_bit:
            relay.parameters.setdefault("BODY", "8BITMIME")  # mail programs forget to say it
        deliveries = [Delivery(account.id) for account in planned.accounts]
        deliveries += await self._sent_copy(arrival, identity.account)
        await self.hand_over(arrival, deliveries, relay, show_client=self.policy.show_client_address)
        if planned.ended:
            await self._confirmations.send(arrival, planned.ended)

    async def _sent_copy(self, arrival: Arrival, account: int) -> list[Delivery]:
        """The copy in the mailbox that the account uses for sent mail; a full account still may send."""
        owner = await self.store.directory.account_by_id(account) if self.policy.save_sent else None
        if owner is None:
            return []
        if await full(self.store, [owner], arrival.incoming.size + 1024):
            arrival.client.link.emit("sent_copy_skipped", account=owner.address, reason="over quota")
            return []
        mailboxes = await self.store.mail.mailboxes(account)
        name = next((mailbox.name for mailbox in mailboxes if mailbox.special_use == "\\Sent"), "Sent")
        return [Delivery(account, name, frozenset((SEEN,)), sent_copy=True)]
