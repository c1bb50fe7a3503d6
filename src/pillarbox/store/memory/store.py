"""MemoryStore: ties directory, mail and queue together and accepts messages."""

import time
from collections.abc import Callable, Sequence

from pillarbox.mail.summary import Summary, summarise
from pillarbox.store.api import Bounce, Delivery, Relay
from pillarbox.store.changes import Change, ChangeFeed, MailboxesChanged, MessagesAdded, QueueChanged
from pillarbox.store.memory.directory import MemoryDirectory
from pillarbox.store.memory.mail import MemoryMail
from pillarbox.store.memory.queue import MemoryQueue
from pillarbox.store.memory.state import AccountState, State
from pillarbox.store.names import mailbox_name
from pillarbox.store.spool import Spool


class MemoryStore:
    """Implements `store.api.Store`. `clock` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._state = State(clock)
        self._directory = MemoryDirectory(self._state)
        self._mail = MemoryMail(self._state)
        self._queue = MemoryQueue(self._state, self._accept_bounce)

    @property
    def changes(self) -> ChangeFeed:
        return self._state.changes

    @property
    def directory(self) -> MemoryDirectory:
        return self._directory

    @property
    def mail(self) -> MemoryMail:
        return self._mail

    @property
    def queue(self) -> MemoryQueue:
        return self._queue

    def spool(self) -> Spool:
        return Spool()

    async def accept(
        self, spool: Spool, deliveries: Sequence[Delivery], relay: Relay | None = None, *, trace_id: str = ""
    ) -> None:
        octets = spool.octets()
        for delivery in deliveries:
            mailbox_name(delivery.mailbox)  # all or none: a bad name is noticed before the first one is delivered
        for account in {d.account for d in deliveries} & self._state.accounts.keys():
            sizes = [spool.size if d.version is None else d.version.size for d in deliveries if d.account == account]
            self._state.accounts[account].need_room(sum(sizes))
        self._take(octets, deliveries, relay, trace_id)

    async def close(self) -> None:
        """Nothing is held."""

    def _accept_bounce(self, bounce: Bounce) -> None:
        """A bounce is delivered even over quota: refused, the sender would never learn that the message failed."""
        self._take(bounce.spool.octets(), bounce.deliveries, bounce.relay, "")

    def _take(self, octets: bytes, deliveries: Sequence[Delivery], relay: Relay | None, trace_id: str) -> None:
        summary = summarise(octets)
        modseqs: dict[int, int] = {}
        changes: list[Change] = []
        for delivery in deliveries:
            owner = self._state.accounts.get(delivery.account)
            if owner is not None:
                if delivery.version is not None:
                    own = delivery.version.octets()
                    changes += self._deliver(owner, delivery, own, summarise(own), modseqs, trace_id)
                else:
                    changes += self._deliver(owner, delivery, octets, summary, modseqs, trace_id)
        if relay is not None:
            self._queue.add(relay, octets)
            changes.append(QueueChanged())
        self._state.publish(changes)

    def _deliver(
        self,
        owner: AccountState,
        delivery: Delivery,
        octets: bytes,
        summary: Summary,
        modseqs: dict[int, int],
        trace_id: str,
    ) -> list[Change]:
        """Into one mailbox; the accounts' modseqs of this commit are in `modseqs`."""
        account = delivery.account
        mailbox, created = self._state.delivery_mailbox(owner, delivery.mailbox)
        if delivery.sent_copy and mailbox.holds(summary.message_id):
            return []
        modseq = modseqs.get(account) or modseqs.setdefault(account, owner.next_modseq())
        message = self._state.new_message(octets, summary, trace_id=trace_id, filed=delivery.sent_copy)
        uid = mailbox.add(message, delivery.flags, modseq, message.savedate)
        owner.octets += len(octets)
        owner.messages += 1
        added = MessagesAdded(account, mailbox.view.mailbox, modseq, [uid])
        return [MailboxesChanged(account, modseq), added] if created else [added]
