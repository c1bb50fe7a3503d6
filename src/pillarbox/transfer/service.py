"""TransferService: what reception and submission have in common: from a complete message to one call of the store."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.service import Body, Client
from pillarbox.store.api import Account, Delivery, OverQuota, Relay, Store
from pillarbox.store.changes import AccountClosed, Change
from pillarbox.transfer import trace
from pillarbox.transfer.checks.verdict import Check, Verdict
from pillarbox.transfer.delivery import AddressBook, Destinations
from pillarbox.transfer.handover import STORE_TROUBLE, full
from pillarbox.transfer.incoming import Incoming
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.queue_id import fresh_queue_id

_UNKNOWN = Reply(550, "5.1.1", "There is no such mailbox here")
_DISABLED = Reply(550, "5.2.1", "The mailbox is disabled")
_FULL = Reply(452, "4.2.2", "The mailbox is full; try again later")
_NEVER_FITS = Reply(552, "5.2.2", "The message is larger than the mailbox may become")

_MAX_UNFIT = 1000
"""Senders and full accounts that are remembered: the oldest is forgotten, which costs that sender one more attempt."""


class Arrival(msgspec.Struct, frozen=True):
    """A message that passed every check. `queue_id` names it; `now` in epoch seconds; `added` are fields for its top."""

    client: Client
    envelope: Envelope
    incoming: Incoming
    queue_id: str
    now: float
    added: bytes


class TransferService(ABC):
    """Implements `smtp.service.MailService`. `clock` gives epoch seconds; `checks` are asked in order."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        checks: Sequence[Check] = (),
        *,
        clock: Callable[[], float] = time.time,
        queue_id: Callable[[], str] = fresh_queue_id,
    ) -> None:
        self.store = store
        self.policy = policy
        self.book = AddressBook(store.directory, policy)
        self.checks = checks
        self.clock = clock
        self._queue_id = queue_id
        self._unfit: dict[tuple[str, int], int] = {}  # (sender, account): size of what did not fit lately

    def watch_account(self, client: Client, closed: Callable[[], None]) -> Callable[[], None]:
        """See MailService."""
        assert client.identity is not None

        def watch(change: Change) -> None:
            if isinstance(change, AccountClosed):
                closed()

        return self.store.changes.watch(client.identity.account, watch)

    async def check_sender(self, client: Client, envelope: Envelope) -> None:
        """See MailService."""
        with STORE_TROUBLE:
            await self.judge_sender(client, envelope)
            for check in self.checks:
                _heed(await check.sender(client, envelope))

    async def check_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """See MailService."""
        with STORE_TROUBLE:
            await self.judge_recipient(client, envelope, forward_path)
            for check in self.checks:
                _heed(await check.recipient(client, envelope, forward_path))

    @abstractmethod
    async def judge_sender(self, client: Client, envelope: Envelope) -> None:
        """What this port demands of the client, before the checks. Raises Refused."""

    @abstractmethod
    async def judge_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        """Whose mail this port takes, before the checks. Raises Refused."""

    def open_body(self, client: Client, envelope: Envelope) -> Incoming:
        """See MailService."""
        return Incoming(self.store.spool())

    async def accept(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        """See MailService."""
        assert isinstance(body, Incoming)
        try:
            with STORE_TROUBLE:
                return await self._accept(client, envelope, body)
        finally:
            body.discard()

    async def _accept(self, client: Client, envelope: Envelope, incoming: Incoming) -> Reply:
        incoming.finish()
        added = b""
        for check in self.checks:
            added = _heed(await check.message(client, envelope, incoming)) + added
        arrival = Arrival(client, envelope, incoming, self._queue_id(), self.clock(), added)
        await self.transfer(arrival)
        for check in self.checks:
            check.accepted(client, envelope)
        return Reply(250, "2.0.0", f"Accepted as {arrival.queue_id}")

    @abstractmethod
    async def transfer(self, arrival: Arrival) -> None:
        """Finish the header and hand the message over. Raises Refused."""

    async def check_destinations(self, envelope: Envelope, destinations: Destinations) -> None:
        """Whether a recipient's mail can end somewhere. Raises Refused."""
        if not destinations:
            raise Refused(_UNKNOWN)
        if destinations.elsewhere:
            return
        active = [account for account in destinations.accounts if not account.disabled]
        if not active:
            raise Refused(_DISABLED)
        size = int(envelope.parameters.get("SIZE") or 0)
        if not size and self._unfit:
            size = max(self._unfit.pop(_unfit_key(envelope, account.id), 0) for account in active)
        await self._check_room(active, size)

    async def hand_over(
        self, arrival: Arrival, deliveries: Sequence[Delivery], relay: Relay | None, *, show_client: bool
    ) -> None:
        """Add the trace fields and give the message to the store. Raises Refused."""
        envelope, queue_id = arrival.envelope, arrival.queue_id
        received = trace.received(
            arrival.client,
            envelope,
            hostname=self.policy.hostname,
            queue_id=queue_id,
            now=arrival.now,
            show_client=show_client,
        )
        # A message that also leaves must not carry a Return-Path (RFC 5321 §4.4).
        top = b"" if relay is not None else trace.return_path(envelope.reverse_path)
        spool = arrival.incoming.seal(top + received + arrival.added)
        own = arrival.incoming.own_version(top + received + arrival.added)
        if own is not None:
            deliveries = [
                msgspec.structs.replace(delivery, version=own) if delivery.sent_copy else delivery
                for delivery in deliveries
            ]
        try:
            await self.store.accept(spool, deliveries, relay, trace_id=queue_id)
        except OverQuota:
            await self._remember_unfit(envelope, deliveries, spool.size)
            raise Refused(_FULL) from None
        arrival.client.link.emit(
            "message_accepted",
            queue_id=queue_id,
            size=spool.size,
            submitted=arrival.client.identity is not None,
            sender=str(envelope.reverse_path or ""),
            recipients=[str(path.address) for path in envelope.forward_paths],
            delivered=len(deliveries),
            relayed=len(relay.recipients) if relay is not None else 0,
        )

    async def _remember_unfit(self, envelope: Envelope, deliveries: Sequence[Delivery], size: int) -> None:
        """SMTP has one answer for all recipients after the message, so one full mailbox delays it for everybody. The
        sender will try again: then the full one is refused by itself, once, at RCPT, and the others get the message."""
        found = [await self.store.directory.account_by_id(delivery.account) for delivery in deliveries]
        for account in await full(self.store, [account for account in found if account is not None], size):
            if len(self._unfit) >= _MAX_UNFIT:
                del self._unfit[next(iter(self._unfit))]
            self._unfit[_unfit_key(envelope, account.id)] = size

    async def _check_room(self, accounts: Sequence[Account], size: int) -> None:
        """Raises Refused when none of the accounts has room; `size` as declared, 0 when unknown."""
        if len(await full(self.store, accounts, max(size, 1))) < len(accounts):
            return
        never = all(account.quota and size > account.quota for account in accounts)
        raise Refused(_NEVER_FITS if never else _FULL)


def _unfit_key(envelope: Envelope, account: int) -> tuple[str, int]:
    return str(envelope.reverse_path or ""), account


def _heed(verdict: Verdict) -> bytes:
    """Raises Refused when the verdict says so, else returns the fields to add."""
    if verdict.refusal is not None:
        raise Refused(verdict.refusal)
    return verdict.fields
