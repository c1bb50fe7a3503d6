"""Maildrop: one session's locked snapshot of INBOX (RFC 1939 §3-§5).

Invariants:
- Message numbers, sizes and unique-ids never change during a session, whatever IMAP does meanwhile. What arrives waits
  for the next session; what is expunged keeps its number and cannot be read any more.
- Nothing is removed before QUIT, and then all of it in one transaction.
- The snapshot costs nothing: it is the view's own arrays with a count (see `store.view`).
- What was read ahead is sent only while its message is still there.
"""

from collections.abc import Iterator

from pillarbox.pop3.errors import BadSyntax, Refused
from pillarbox.store.api import INBOX, Store, StoreError
from pillarbox.store.view import MailboxView

READ_AHEAD = 64 * 1024
"""Octets of a message and the next ones that are read at once, and so at most kept for a session: a few of usual size."""

_GONE = "The message was deleted by another program meanwhile; log in again for a new list"


class MaildropLocks:
    """Which accounts have a POP3 session now: one for the whole process, shared by its connections."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, object] = {}

    def acquire(self, account: int, holder: object) -> bool:
        """Take an account's lock for a holder; False when another one has it."""
        return self._held.setdefault(account, holder) is holder

    def release(self, account: int, holder: object) -> None:
        """Give it back; does nothing unless the holder has it."""
        if self._held.get(account) is holder:
            del self._held[account]


class Maildrop:
    """Messages by index (message number - 1). `deleted` are the indexes marked by DELE."""

    __slots__ = ("_ahead", "_last", "_sizes", "_store", "_uids", "_unique_ids", "_view", "count", "deleted")

    def __init__(self, store: Store, view: MailboxView) -> None:
        self._store = store
        self._view = view
        self._uids = view.uids
        self._sizes = view.sizes
        self.count = len(view.uids)
        self.deleted: set[int] = set()
        self._unique_ids: list[str | None] | None = None
        self._ahead: dict[int, bytes] = {}  # beginnings of messages that were read and not yet asked for
        self._last = -2  # the message that was asked for last

    @classmethod
    async def open(cls, store: Store, account: int) -> "Maildrop":
        """The INBOX of an account as it is now."""
        return cls(store, await store.mail.open(account, INBOX))

    def index(self, number: bytes) -> int:
        """The index of a message that exists and is not marked as deleted. Raises BadSyntax, Refused."""
        if not number.isdigit():
            raise BadSyntax("A message number is expected")
        index = int(number) - 1 if len(number) < 10 else self.count
        if not 0 <= index < self.count:
            raise Refused("There is no such message")
        if index in self.deleted:
            raise Refused("The message is marked as deleted")
        return index

    def present(self) -> Iterator[int]:
        """Indexes of all messages that are not marked as deleted."""
        deleted = self.deleted
        return (i for i in range(self.count) if i not in deleted) if deleted else iter(range(self.count))

    def size(self, index: int) -> int:
        """Octets of a message."""
        return self._sizes[index]

    def total(self) -> int:
        """Octets of all messages that are not marked as deleted."""
        return sum(self._sizes[: self.count]) - sum(self._sizes[i] for i in self.deleted)

    async def beginning(self, index: int, length: int) -> bytes:
        """The first so many octets of a message. Raises Refused when it is gone.

        Who takes one message after the other gets the next ones out of memory: one call of the store for some of them.
        """
        in_order, self._last = index == self._last + 1, index
        if index in self._ahead:
            octets = self._ahead.pop(index) if self._view.index(self._uids[index]) >= 0 else None
        else:
            stop = self._end_of_run(index) if in_order else index + 1
            try:
                octets = await self._read_run(index, stop, length)
            except StoreError:
                if stop == index + 1:
                    raise
                octets = await self._read_run(index, index + 1, length)  # it was another one that cannot be read
        if octets is None:
            raise Refused(_GONE, "SYS/TEMP")
        return octets

    def _end_of_run(self, index: int) -> int:
        """The index behind those that are worth reading together with this one."""
        room = READ_AHEAD - self._sizes[index]
        for i in range(index + 1, self.count):
            room -= self._sizes[i]
            if room < 0:
                return i
        return self.count

    async def _read_run(self, index: int, stop: int, length: int) -> bytes | None:
        view, uids = self._view, self._uids[index:stop]
        octets, *ahead = await self._store.mail.contents(view.account, view.mailbox, uids, [length] * len(uids))
        self._ahead = {i: more for i, more in enumerate(ahead, index + 1) if more is not None}
        return octets

    async def read(self, index: int, start: int, length: int) -> bytes:
        """A part of a message. Raises Refused when it is gone."""
        view = self._view
        octets = await self._store.mail.octets(view.account, view.mailbox, self._uids[index], start, length)
        if octets is None:
            raise Refused(_GONE, "SYS/TEMP")
        return octets

    async def unique_ids(self) -> list[str | None]:
        """The unique-id of each message: its permanent id. None where it was expunged before anybody asked.

        A message that was copied inside INBOX has the permanent id of the original; the later one's UID tells them apart.
        """
        if self._unique_ids is None:
            view = self._view
            uids = self._uids[: self.count]
            ids = await self._store.mail.email_ids(view.account, view.mailbox, uids)
            if len(set(ids)) < len(ids):
                seen: set[str | None] = {None}
                for i, (uid, unique_id) in enumerate(zip(uids, ids, strict=True)):
                    if unique_id is not None and unique_id in seen:
                        ids[i] = f"{unique_id}.{view.uidvalidity}.{uid}"
                    seen.add(unique_id)
            self._unique_ids = ids
        return self._unique_ids

    async def remove_deleted(self, by: str) -> int:
        """Remove what DELE marked, in one transaction; returns how many. Raises StoreError: then nothing is removed."""
        if not self.deleted:
            return 0
        view = self._view
        uids = sorted(self._uids[i] for i in self.deleted)
        await self._store.mail.expunge(view.account, view.mailbox, uids, deleted_only=False, by=by)
        return len(uids)
