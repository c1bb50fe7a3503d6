"""The queue of the memory home."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pillarbox.store.api import (
    Bounce,
    NotFound,
    QueueEntry,
    QueueRecipient,
    RecipientState,
    Relay,
)
from pillarbox.store.changes import QueueChanged
from pillarbox.store.memory.state import State

_OPEN = (RecipientState.QUEUED, RecipientState.HELD)


@dataclass(slots=True)
class _Queued:
    entry: QueueEntry
    octets: bytes
    leased: bool = False

    def due(self) -> float | None:
        """When its next recipient is due; None when none is, or someone is at it."""
        times = [r.next_attempt for r in self.entry.recipients if r.state is RecipientState.QUEUED]
        return None if self.leased or not times else min(times)

    def change(self, old: RecipientState, new: RecipientState, next_attempt: float | None = None) -> int:
        """Change every recipient in the old state; returns how many."""
        concerned = [r for r in self.entry.recipients if r.state is old]
        changed = {
            r.id: replace(r, state=new, next_attempt=r.next_attempt if next_attempt is None else next_attempt)
            for r in concerned
        }
        self.entry = replace(self.entry, recipients=tuple(changed.get(r.id, r) for r in self.entry.recipients))
        return len(concerned)


class MemoryQueue:
    """Implements `store.api.Queue`. `deliver` is how the store accepts a bounce."""

    def __init__(self, state: State, deliver: Callable[[Bounce], None]) -> None:
        self._state = state
        self._deliver = deliver
        self._queued: dict[str, _Queued] = {}
        self._last_recipient = 0

    def add(self, relay: Relay, octets: bytes) -> None:
        """Part of `Store.accept`: one message more."""
        now = self._state.clock()
        recipients = []
        for address, parameters in relay.recipients:
            self._last_recipient += 1
            recipients.append(
                QueueRecipient(self._last_recipient, address, next_attempt=now, parameters=dict(parameters))
            )
        entry = QueueEntry(
            relay.queue_id,
            relay.reverse_path,
            relay.account,
            now,
            len(octets),
            tuple(recipients),
            dict(relay.parameters),
        )
        self._queued[relay.queue_id] = _Queued(entry, octets)

    async def due(self, now: float, limit: int) -> list[QueueEntry]:
        waiting = [(when, q) for q in self._queued.values() if (when := q.due()) is not None and when <= now]
        chosen = [q for _, q in sorted(waiting, key=lambda pair: pair[0])[:limit]]
        for queued in chosen:
            queued.leased = True
        return [q.entry for q in chosen]

    async def next_due(self) -> float | None:
        return min((when for q in self._queued.values() if (when := q.due()) is not None), default=None)

    async def update(
        self,
        entry: str,
        recipients: Sequence[QueueRecipient],
        *,
        bounce: Bounce | None = None,
        keep_lease: bool = False,
    ) -> None:
        queued = self._get(entry)
        outcomes = {r.id: r for r in recipients}
        merged = tuple(_merge(old, outcomes.get(old.id)) for old in queued.entry.recipients)
        queued.entry = replace(queued.entry, recipients=merged)
        queued.leased = queued.leased and keep_lease
        if not any(r.state in _OPEN for r in merged):
            del self._queued[entry]
        if bounce is not None:
            self._deliver(bounce)

    async def entries(self) -> list[QueueEntry]:
        return sorted((q.entry for q in self._queued.values()), key=lambda e: e.created)

    async def entry(self, entry: str) -> QueueEntry | None:
        found = self._queued.get(entry)
        return None if found is None else found.entry

    async def content(self, entry: str, start: int = 0, length: int | None = None) -> bytes | None:
        found = self._queued.get(entry)
        return None if found is None else found.octets[start : None if length is None else start + length]

    async def retry(self, entry: str | None, now: float) -> int:
        if entry is not None and entry not in self._queued:
            return 0
        which: Iterable[_Queued] = self._queued.values() if entry is None else [self._queued[entry]]
        concerned = sum(q.change(RecipientState.QUEUED, RecipientState.QUEUED, now) for q in which)
        self._state.changes.publish(QueueChanged())
        return concerned

    async def hold(self, entry: str) -> None:
        self._get(entry).change(RecipientState.QUEUED, RecipientState.HELD)

    async def release(self, entry: str, now: float) -> None:
        self._get(entry).change(RecipientState.HELD, RecipientState.QUEUED, now)
        self._state.changes.publish(QueueChanged())

    async def remove(self, entry: str) -> None:
        self._get(entry)
        del self._queued[entry]

    def _get(self, entry: str) -> _Queued:
        found = self._queued.get(entry)
        if found is None:
            raise NotFound(f"the queue has no entry {entry}")
        return found


def _merge(old: QueueRecipient, outcome: QueueRecipient | None) -> QueueRecipient:
    """What was held while it was tried stays held, unless it is finished."""
    if outcome is None:
        return old
    if old.state is RecipientState.HELD and outcome.state is RecipientState.QUEUED:
        return replace(outcome, state=RecipientState.HELD)
    return outcome
