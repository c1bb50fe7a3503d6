"""Reception: mail from other servers (port 25), for accounts here and for nobody else.

Security: strangers feed this. No peer is trusted, loopback included: relaying is refused for everyone. What can be
decided is decided while the peer is still there, so that nothing has to be bounced to a forged sender.
"""

import time
from collections.abc import Callable, Sequence

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.service import Body, Client
from pillarbox.store.api import Account, Delivery, Store
from pillarbox.transfer import trace
from pillarbox.transfer.checks.loop import LoopCheck
from pillarbox.transfer.checks.verdict import Check, Verdict
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.handover import full, hand_over, plan
from pillarbox.transfer.incoming import Incoming
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.queue_id import fresh_queue_id

_NO_RELAYING = Reply(550, "5.7.1", "This server does not relay; it takes mail for its own domains only")
_UNKNOWN = Reply(550, "5.1.1", "There is no such mailbox here")
_DISABLED = Reply(550, "5.2.1", "The mailbox is disabled")
_FULL = Reply(452, "4.2.2", "The mailbox is full; try again later")
_NEVER_FITS = Reply(552, "5.2.2", "The message is larger than the mailbox may become")


class Reception:
    """Implements `smtp.service.MailService`. `clock` gives epoch seconds; `checks` come before our own."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        checks: Sequence[Check] = (),
        *,
        clock: Callable[[], float] = time.time,
        queue_id: Callable[[], str] = fresh_queue_id,
    ) -> None:
        self._store = store
        self._policy = policy
        self._book = AddressBook(store.directory, policy)
        self._checks = (*checks, LoopCheck(policy.max_received))
        self._clock = clock
        self._queue_id = queue_id

    async def check_sender(self, client: Client, envelope: Envelope) -> None:
        """See MailService."""
        for check in self._checks:
            _raise(await check.sender(client, envelope))

    async def check_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """See MailService."""
        address = forward_path.address
        if not await self._book.is_ours(address):
            raise Refused(_NO_RELAYING)
        destinations = await self._book.resolve(address)
        if not destinations:
            raise Refused(_UNKNOWN)
        if not destinations.elsewhere:
            active = [account for account in destinations.accounts if not account.disabled]
            if not active:
                raise Refused(_DISABLED)
            await self._check_room(active, int(envelope.parameters.get("SIZE") or 0))
        for check in self._checks:
            _raise(await check.recipient(client, envelope, forward_path))

    def open_body(self, client: Client, envelope: Envelope) -> Incoming:
        """See MailService."""
        return Incoming(self._store.spool())

    async def accept(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        """See MailService."""
        assert isinstance(body, Incoming)
        try:
            return await self._accept(client, envelope, body)
        finally:
            body.discard()

    async def _accept(self, client: Client, envelope: Envelope, incoming: Incoming) -> Reply:
        incoming.finish()
        added = b""
        for check in self._checks:
            added = _raise(await check.message(client, envelope, incoming)) + added
        planned = await plan(self._book, (path.address for path in envelope.forward_paths))
        queue_id, now = self._queue_id(), self._clock()
        relay = planned.relay(queue_id, envelope)
        incoming.header = trace.without_own_results(incoming.header, self._policy.hostname)
        received = trace.received(
            client, envelope, hostname=self._policy.hostname, queue_id=queue_id, now=now, show_client=True
        )
        # A message that also leaves must not carry a Return-Path (RFC 5321 §4.4).
        top = b"" if relay else trace.return_path(envelope.reverse_path)
        spool = incoming.seal(top + received + added)
        deliveries = [Delivery(account.id) for account in planned.accounts]
        await hand_over(self._store, spool, deliveries, relay, trace_id=queue_id)
        for check in self._checks:
            check.accepted(client, envelope)
        client.link.emit(
            "message_accepted",
            queue_id=queue_id,
            size=spool.size,
            sender=str(envelope.reverse_path or ""),
            recipients=[str(path.address) for path in envelope.forward_paths],
            delivered=len(deliveries),
            relayed=len(planned.elsewhere),
        )
        return Reply(250, "2.0.0", f"Accepted as {queue_id}")

    async def _check_room(self, accounts: Sequence[Account], size: int) -> None:
        """Raises Refused when none of the accounts has room; `size` as declared, 0 when unknown."""
        if len(await full(self._store, accounts, size)) < len(accounts):
            return
        never = all(account.quota and size > account.quota for account in accounts)
        raise Refused(_NEVER_FITS if never else _FULL)


def _raise(verdict: Verdict) -> bytes:
    """Raises Refused when the verdict says so, else returns the fields to add."""
    if verdict.refusal is not None:
        raise Refused(verdict.refusal)
    return verdict.fields
