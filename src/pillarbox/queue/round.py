"""One round of one message: everyone who is due is tried, grouped by destination; then the sender is told, if need be."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.dsn import Action
from pillarbox.mail.status import Reply
from pillarbox.mailauth.dns import Resolver
from pillarbox.queue.attempt import Attempt, Outcome, Outgoing, Sender
from pillarbox.queue.bounce import Bounces, Notice
from pillarbox.queue.gate import Gate
from pillarbox.queue.policy import Policy
from pillarbox.queue.routing import Order, Unroutable, route
from pillarbox.queue.schedule import next_attempt, warning_due
from pillarbox.smtp.client.transaction import Recipient
from pillarbox.store.api import Bounce, NotFound, QueueEntry, QueueRecipient, RecipientState, Store, StoreError
from pillarbox.wire.engine import Emit

CHUNK = 256 * 1024
"""Octets read from the store at a time."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every round works with; see QueueRunner."""

    store: Store
    sender: Sender
    resolver: Resolver
    policy: Policy
    bounces: Bounces
    emit: Emit
    clock: Callable[[], float]
    chance: Callable[[], float]
    shuffle: Order
    gate: Gate


class Round:
    """One round of one leased entry."""

    def __init__(self, tools: Tools, entry: QueueEntry) -> None:
        self._tools = tools
        self._entry = entry

    async def run(self) -> None:
        """Try, record, notify. A bug or a failing store must cost a retry, never the message."""
        try:
            await self._run()
        except Exception as error:
            self._broken(error)
            await self._put_back()

    async def _run(self) -> None:
        now = self._tools.clock()
        queued = (r for r in self._entry.recipients if r.state is RecipientState.QUEUED)
        groups = self._grouped([r for r in queued if r.next_attempt <= now])
        message = await self._outgoing()
        tries = [self._try(domain, recipients, message) for domain, recipients in groups.items()]
        outcomes = {r.id: outcome for found in await asyncio.gather(*tries) for r, outcome in found}
        await self._conclude([(r, outcomes[r.id]) for r in self._entry.recipients if r.id in outcomes])

    async def _put_back(self) -> None:
        """End the lease; whoever has no outcome is tried again after the first wait."""
        now = self._tools.clock()
        entry = await self._tools.store.queue.entry(self._entry.id)
        if entry is not None:
            queued = (r for r in entry.recipients if r.state is RecipientState.QUEUED and r.next_attempt <= now)
            await self._record([replace(r, next_attempt=now + self._tools.policy.schedule.first) for r in queued])

    def _broken(self, error: Exception) -> None:
        self._tools.emit("relay_broken", queue_id=self._entry.id, error=f"{type(error).__name__}: {error}")

    def _grouped(self, recipients: Sequence[QueueRecipient]) -> dict[str, list[QueueRecipient]]:
        """By destination; the key is a domain that stands for it."""
        by_destination: dict[str, tuple[str, list[QueueRecipient]]] = {}
        for recipient in recipients:
            domain = _domain(recipient.address)
            by_destination.setdefault(self._tools.policy.destination(domain), (domain, []))[1].append(recipient)
        return dict(by_destination.values())

    async def _outgoing(self) -> Outgoing:
        entry = self._entry
        utf8 = False
        if "SMTPUTF8" in entry.parameters:
            # Only the header needs the extension; a client may ask for it without need (RFC 6531 §3.4).
            head = await self._tools.store.queue.content(entry.id, 0, CHUNK) or b""
            utf8 = not head[: head.find(b"\r\n\r\n")].isascii() if b"\r\n\r\n" in head else not head.isascii()
        eight_bit = entry.parameters.get("BODY", "").upper() == "8BITMIME"
        return Outgoing(entry.reverse_path, entry.size, self._content, eight_bit, utf8, entry.parameters)

    async def _content(self) -> AsyncIterator[bytes]:
        start = 0
        while start < self._entry.size:
            chunk = await self._tools.store.queue.content(self._entry.id, start, CHUNK)
            if not chunk:
                raise NotFound(f"the content of {self._entry.id} is gone")
            yield chunk
            start += len(chunk)

    async def _try(
        self, domain: str, recipients: Sequence[QueueRecipient], message: Outgoing
    ) -> list[tuple[QueueRecipient, Outcome]]:
        """One destination. Who got it is recorded at once, whatever the other destinations take."""
        tools = self._tools
        try:
            async with tools.gate.to(tools.policy.destination(domain)):
                peers = await route(domain, tools.policy, tools.resolver, tools.shuffle)
                wanted = [Recipient(r.address, r.parameters) for r in recipients]
                attempt = Attempt(tools.sender, message, wanted, tools.policy.recipients)
                outcomes = await attempt.run(peers)
        except Unroutable as error:
            outcomes = [Outcome(error.reply)] * len(recipients)
        except StoreError as error:
            outcomes = [Outcome(Reply(451, "4.3.0", f"the message cannot be read now: {error}"))] * len(recipients)
        except Exception as error:
            self._broken(error)
            outcomes = [Outcome(Reply(451, "4.3.0", "an internal error of this server"))] * len(recipients)
        found = list(zip(recipients, outcomes, strict=True))
        delivered = [self._delivered(r, outcome) for r, outcome in found if outcome.reply.is_success]
        if delivered:
            await self._record(delivered, bounce=await self._confirmation(found), keep_lease=True)
        return found

    async def _confirmation(self, found: Sequence[tuple[QueueRecipient, Outcome]]) -> Bounce | None:
        """What senders who asked for it are told where the next server will not (RFC 3461 §5.2.2). Never raises: what was
        delivered has to go on record."""
        taken = [(r, outcome) for r, outcome in found if outcome.reply.is_success and not outcome.notifying]
        notices = [Notice(r.address, r.parameters, Action.RELAYED, outcome) for r, outcome in taken]
        try:
            return await self._notification(notices)
        except Exception as error:
            self._broken(error)
            return None

    async def _notification(self, notices: Sequence[Notice]) -> Bounce | None:
        bounces = self._tools.bounces
        return await bounces.make(bounces.about(self._entry), notices, self._tools.clock())

    def _delivered(self, recipient: QueueRecipient, outcome: Outcome) -> QueueRecipient:
        peer = outcome.peer
        self._tools.emit(
            "relay_delivered",
            queue_id=self._entry.id,
            recipient=recipient.address,
            host=peer.host if peer else "",
            address=peer.address if peer else "",
            tls=outcome.tls,
            reply=str(outcome.reply),
        )
        attempts = recipient.attempts + 1
        return replace(recipient, state=RecipientState.DELIVERED, attempts=attempts, last_reply=str(outcome))

    async def _conclude(self, found: Sequence[tuple[QueueRecipient, Outcome]]) -> None:
        """Record those who did not get it, and what their sender is told about it, in one step."""
        notices: list[Notice] = []
        changed = [self._undelivered(r, outcome, notices) for r, outcome in found if not outcome.reply.is_success]
        if not changed and all(outcome.reply.is_success for _, outcome in found) and self._is_complete(found):
            return  # everyone had it, and that is recorded: the entry is gone
        bounce = None
        if notices:
            bounce = await self._notification(notices)
            if bounce is None:
                self._tools.emit("bounce_dropped", queue_id=self._entry.id, reverse_path=self._entry.reverse_path)
        await self._record(changed, bounce=bounce)

    def _is_complete(self, found: Sequence[tuple[QueueRecipient, Outcome]]) -> bool:
        tried = {r.id for r, _ in found}
        over = (RecipientState.DELIVERED, RecipientState.FAILED)
        return all(r.id in tried or r.state in over for r in self._entry.recipients)

    def _undelivered(self, recipient: QueueRecipient, outcome: Outcome, notices: list[Notice]) -> QueueRecipient:
        """Failed for good, or later again; adds what the sender is to be told."""
        tools, entry = self._tools, self._entry
        now = tools.clock()
        schedule = tools.policy.schedule
        recipient = replace(recipient, attempts=recipient.attempts + 1, last_reply=str(outcome))
        again = None
        if not outcome.reply.is_permanent:
            again = next_attempt(schedule, recipient.attempts, entry.created, now, tools.chance())
        facts = {
            "queue_id": entry.id,
            "recipient": recipient.address,
            "reply": str(outcome),
            "status": outcome.reply.enhanced,
            "attempts": recipient.attempts,
        }
        if again is None:
            tools.emit("relay_failed", **facts)
            notices.append(Notice(recipient.address, recipient.parameters, Action.FAILED, outcome))
            return replace(recipient, state=RecipientState.FAILED)
        tools.emit("relay_deferred", **facts, next_attempt=again)
        if not recipient.delay_notified and warning_due(schedule, entry.created, now):
            until = entry.created + schedule.lifetime
            notices.append(Notice(recipient.address, recipient.parameters, Action.DELAYED, outcome, until))
            recipient = replace(recipient, delay_notified=True)
        return replace(recipient, next_attempt=again)

    async def _record(
        self, recipients: Sequence[QueueRecipient], *, bounce: Bounce | None = None, keep_lease: bool = False
    ) -> None:
        """Into the store, however long that takes: what happened outside cannot be undone. The bounce's spool ends here."""
        tools = self._tools
        try:
            while True:
                try:
                    await tools.store.queue.update(self._entry.id, recipients, bounce=bounce, keep_lease=keep_lease)
                except NotFound:
                    tools.emit("relay_entry_removed", queue_id=self._entry.id)
                except StoreError as error:
                    tools.emit("queue_unwritable", queue_id=self._entry.id, reason=str(error))
                    await asyncio.sleep(tools.policy.store_retry)
                    continue
                return
        finally:
            if bounce is not None:
                bounce.spool.discard()


def _domain(address: str) -> str:
    """The part that mail is routed by, as A-labels; a malformed one is refused by routing."""
    try:
        return Address.parse(address).domain
    except BadAddress:
        return address.rpartition("@")[2]
