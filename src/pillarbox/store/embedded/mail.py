"""Mailboxes and messages of the embedded home: what is changed goes to the writer as a plan, what is read comes from views,
index and segments."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from pillarbox.mail.summary import Listed
from pillarbox.store.api import (
    INBOX,
    Appended,
    Copied,
    Held,
    MailboxInfo,
    MessageRecord,
    NewMessage,
    Stored,
    StoreMode,
)
from pillarbox.store.embedded import acceptance, mailboxes, messages, notes
from pillarbox.store.embedded.batch import Batch, NextBatch, Undecided
from pillarbox.store.embedded.incoming import Incoming, Intake
from pillarbox.store.embedded.indexer import Indexer
from pillarbox.store.embedded.mailboxes import existing_name
from pillarbox.store.embedded.notes import Delivered
from pillarbox.store.embedded.records import Records
from pillarbox.store.embedded.schema import query
from pillarbox.store.embedded.state import Mailbox, State
from pillarbox.store.embedded.summaries import message_id_hash
from pillarbox.store.embedded.views import Views
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Writer
from pillarbox.store.flags import Flags
from pillarbox.store.turns import Turn, Turns
from pillarbox.store.view import MailboxView

T = TypeVar("T")


class EmbeddedMail:
    """Implements `store.api.Mail`."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        views: Views,
        intake: Intake,
        records: Records,
        indexer: Indexer,
        workers: Workers,
    ) -> None:
        self._state = state
        self._writer = writer
        self._views = views
        self._intake = intake
        self._records = records
        self._indexer = indexer
        self._workers = workers
        self._turns = Turns()

    # Mailboxes

    async def mailboxes(self, account: int) -> list[MailboxInfo]:
        owner = self._state.owner(account)
        return sorted(map(owner.info, owner.mailboxes.values()), key=lambda m: (m.name != INBOX, m.name))

    async def create(self, account: int, name: str, *, special_use: str = "") -> MailboxInfo:
        return await self._writer.do(lambda batch: mailboxes.create(batch, account, name, special_use))

    async def delete(self, account: int, name: str) -> None:
        self._views.forget(await self._writer.do(lambda batch: mailboxes.delete(batch, account, name)))

    async def rename(self, account: int, name: str, new_name: str) -> None:
        inbox = await self.open(account, INBOX) if existing_name(name) == INBOX else None
        await self._writer.do(lambda batch: mailboxes.rename(batch, account, name, new_name, inbox))

    async def subscribe(self, account: int, name: str, *, subscribed: bool) -> None:
        await self._writer.do(lambda batch: mailboxes.subscribe(batch, account, name, subscribed=subscribed))

    async def subscriptions(self, account: int) -> list[str]:
        return sorted(self._state.owner(account).subscriptions, key=lambda n: (n != INBOX, n))

    async def open(self, account: int, name: str) -> MailboxView:
        return await self._views.open(self._state.owner(account).named(existing_name(name)))

    async def open_by_id(self, account: int, mailbox: int) -> MailboxView:
        return await self._views.open(self._state.mailbox(account, mailbox))

    async def claim_recent(self, account: int, mailbox: int) -> int:
        found = self._state.mailbox(account, mailbox)
        first = found.recent
        if first != found.uidnext:
            found.recent = found.uidnext
            self._state.recent_claims.add(
                found
            )  # the next commit writes it; lost in a crash, messages are recent twice
        return first

    async def first_recent(self, account: int, mailbox: int) -> int:
        return self._state.mailbox(account, mailbox).recent

    # Messages

    async def append(self, account: int, name: str, messages: Sequence[NewMessage]) -> Appended:
        name = existing_name(name)
        mailbox = self._state.owner(account).named(name)
        replaces = any(m.replaces is not None for m in messages)
        view = await self._views.open(mailbox) if replaces else None
        prepared: list[tuple[NewMessage, Incoming]] = []
        address, now = self._state.owner(account).account.address, int(self._state.clock())
        try:
            for message in messages:
                date = now if message.internaldate is None else message.internaldate
                note = notes.encode([Delivered(address, name, date, message.flags)])
                prepared.append((message, await self._intake.prepare(message.spool, note)))
            return await self._writer.do(lambda batch: acceptance.append(batch, account, name, prepared, view))
        except Undecided:
            raise
        except Exception:
            for _, incoming in prepared:
                await self._intake.abandon(incoming)
            raise

    async def copy(self, account: int, mailbox: int, uids: Sequence[int], target: str) -> Copied:
        source, view = await self._source(account, mailbox)
        name = existing_name(target)
        return await self._writer.do(lambda batch: messages.copy(batch, source, view, uids, name))

    async def move(
        self, account: int, mailbox: int, uids: Sequence[int], target: str, *, by: str | None = None
    ) -> Copied:
        source, view = await self._source(account, mailbox)
        name = existing_name(target)
        return await self._writer.do(lambda batch: messages.move(batch, source, view, uids, name, by))

    async def store_flags(
        self,
        account: int,
        mailbox: int,
        uids: Sequence[int],
        mode: StoreMode,
        flags: Flags,
        *,
        unchanged_since: int | None = None,
        by: str | None = None,
    ) -> Stored:
        source, view = await self._source(account, mailbox)

        def plan(batch: Batch) -> Stored:
            return messages.store_flags(batch, source, view, uids, mode, flags, unchanged_since, by)

        return await self._writer.do(plan)

    async def expunge(
        self,
        account: int,
        mailbox: int,
        uids: Sequence[int] | None,
        *,
        deleted_only: bool = True,
        by: str | None = None,
    ) -> Sequence[int]:
        source, view = await self._source(account, mailbox)

        def plan(batch: Batch) -> Sequence[int]:
            return messages.expunge(batch, source, view, uids, by, deleted_only=deleted_only)

        return await self._writer.do(plan)

    async def expunged_since(self, account: int, mailbox: int, modseq: int) -> Sequence[int]:
        self._state.mailbox(account, mailbox)
        return self._records.expunged_since(mailbox, modseq)

    async def records(self, account: int, mailbox: int, uids: Sequence[int]) -> list[MessageRecord | None]:
        _, view = await self._source(account, mailbox)
        return await self._records.records(view, uids)

    async def listed(self, account: int, mailbox: int, uids: Sequence[int]) -> list[Listed | None]:
        _, view = await self._source(account, mailbox)
        return await self._records.listed(view, uids)

    async def email_ids(self, account: int, mailbox: int, uids: Sequence[int]) -> list[str | None]:
        _, view = await self._source(account, mailbox)
        return await self._records.email_ids(view, uids)

    async def octets(
        self, account: int, mailbox: int, uid: int, start: int = 0, length: int | None = None
    ) -> bytes | None:
        found = self._state.mailbox(account, mailbox)
        view = found.loaded() or await self._views.open(found)
        return await self._records.octets(view, uid, start, length)

    async def contents(
        self, account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
    ) -> list[bytes | None]:
        found = self._state.mailbox(account, mailbox)
        view = found.loaded() or await self._views.open(found)
        return await self._records.contents(view, uids, sizes)

    async def may_hold(self, account: int, mailbox: int, needle: str) -> Sequence[int] | None:
        return await self._indexer.naming(self._state.mailbox(account, mailbox).id, needle)

    async def holding(self, account: int, mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
        return await self._indexer.holding(self._state.mailbox(account, mailbox).id, uids, needle, header=header)

    def turn(self, account: int) -> Turn:
        return self._turns.of(account)

    async def compute(self, work: Callable[[], T]) -> T:
        return await self._workers.run(work)

    async def find_message_id(self, account: int, mailbox: int, message_id: str) -> Sequence[int]:
        _, view = await self._source(account, mailbox)
        return self._records.find_message_id(view, message_id)

    async def usage(self, account: int) -> tuple[int, int]:
        owner = self._state.owner(account)
        return owner.octets, owner.messages

    async def _source(self, account: int, mailbox: int) -> tuple[Mailbox, MailboxView]:
        found = self._state.mailbox(account, mailbox)
        return found, await self._views.open(found)


def holds(near: apsw.Connection, batch: Batch, mailbox: Mailbox, message_id: str, view: MailboxView | None) -> bool:
    """Whether a mailbox holds a Message-ID, as of the last commit and what the batch holds. The view says what is gone."""
    key = message_id_hash(message_id)
    if key is None:
        return False
    if (mailbox.id, key) in batch.message_ids:
        return True
    if any(rows.target == mailbox.id for rows in batch.copies):
        raise NextBatch  # what is copied there in this batch is known after it
    rows = query(near, "SELECT uid FROM messages WHERE mailbox = ? AND message_id_hash = ?", (mailbox.id, key))
    removed = batch.mailbox(mailbox).removed
    return any(uid not in removed and (view is None or view.index(uid) >= 0) for (uid,) in rows)
