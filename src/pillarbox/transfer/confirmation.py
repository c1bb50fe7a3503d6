"""Confirmations: what authors who asked for it are told about recipients here (RFC 3461 §5.2.3, §5.2.7.3)."""

from collections.abc import Callable, Sequence

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.dsn import Action
from pillarbox.mail.envelope import ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.queue.attempt import Outcome
from pillarbox.queue.bounce import Bounces, Locate, Notice, Subject, Whereabouts
from pillarbox.queue.policy import Policy as QueuePolicy
from pillarbox.store.api import Delivery, Store
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.service import Arrival

_DONE = Outcome(Reply(250, "2.0.0", "Delivered"))


def locator(book: AddressBook) -> Locate:
    """Notifications go where any other mail for the address goes, aliases and all."""

    async def locate(address: str) -> Whereabouts:
        try:
            found = await book.resolve(Address.parse(address))
        except (BadAddress, Refused):
            return Whereabouts()
        return Whereabouts([Delivery(a.id) for a in found.accounts], [str(a) for a in found.elsewhere])

    return locate


class Confirmations:
    """Delivers them. `new_id` gives random letters and digits."""

    def __init__(self, store: Store, book: AddressBook, host_name: str, new_id: Callable[[], str]) -> None:
        self._store = store
        self._bounces = Bounces(store, QueuePolicy(host_name), locator(book), new_id)

    async def send(self, arrival: Arrival, ended: Sequence[tuple[ForwardPath, Action]]) -> None:
        """Tell the author what became of these recipients, as far as that was asked for. The message itself is ours
        already, so nothing that fails here may refuse it: it is logged."""
        envelope, header = arrival.envelope, arrival.incoming.header

        async def head(limit: int) -> bytes:
            return header[:limit]

        subject = Subject(
            arrival.queue_id,
            str(envelope.reverse_path or ""),
            arrival.now,
            arrival.incoming.size,
            envelope.parameters,
            head,
        )
        notices = [Notice(str(path.address), path.parameters, action, _DONE) for path, action in ended]
        note = None
        try:
            note = await self._bounces.make(subject, notices, arrival.now)
            if note is not None:
                await self._store.accept(note.spool, note.deliveries, note.relay, trace_id=arrival.queue_id)
        except Exception as error:  # a fault of ours, too: refused now, the message would be sent and delivered again
            reason = f"{type(error).__name__}: {error}"
            arrival.client.link.emit("confirmation_dropped", queue_id=arrival.queue_id, reason=reason)
        finally:
            if note is not None:
                note.spool.discard()
