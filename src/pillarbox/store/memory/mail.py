"""Mailboxes and messages of the memory home."""

from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar

from pillarbox.mail.summary import Listed, listed, summarise
from pillarbox.store.api import (
    INBOX,
    SEPARATOR,
    Appended,
    BadMailboxName,
    Copied,
    Held,
    MailboxExists,
    MailboxInfo,
    MessageRecord,
    NewMessage,
    Stored,
    StoreMode,
)
from pillarbox.store.changes import Change, FlagsChanged, MailboxesChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.flags import DELETED, Flags
from pillarbox.store.memory.state import AccountState, Mailbox, State
from pillarbox.store.names import mailbox_name, parents, require_room
from pillarbox.store.turns import Turn, Turns
from pillarbox.store.view import MailboxView

T = TypeVar("T")


class MemoryMail:
    """Implements `store.api.Mail`. Nothing is awaited inside, so each method is one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._turns = Turns()

    # Mailboxes

    async def mailboxes(self, account: int) -> list[MailboxInfo]:
        owner = self._state.account(account)
        found = [owner.info(m) for m in owner.mailboxes.values()]
        return sorted(found, key=lambda m: (m.name != INBOX, m.name))

    async def create(self, account: int, name: str, *, special_use: str = "") -> MailboxInfo:
        owner = self._state.account(account)
        name = mailbox_name(name)
        _require_free(owner, name)
        require_room(len(owner.mailboxes))
        created = self._state.create_mailbox(owner, name, special_use)
        self._state.publish([MailboxesChanged(account, owner.next_modseq())])
        return owner.info(created)

    async def delete(self, account: int, name: str) -> None:
        owner = self._state.account(account)
        mailbox = owner.named(_existing_name(name))
        if mailbox.view.name == INBOX:
            raise BadMailboxName("INBOX cannot be deleted")
        del owner.mailboxes[mailbox.view.mailbox]
        owner.octets -= sum(mailbox.view.sizes)
        owner.messages -= len(mailbox.messages)
        self._state.publish([MailboxesChanged(account, owner.next_modseq(), (mailbox.view.mailbox,))])

    async def rename(self, account: int, name: str, new_name: str) -> None:
        owner = self._state.account(account)
        mailbox = owner.named(_existing_name(name))
        name, new_name = mailbox.view.name, mailbox_name(new_name)
        if name == INBOX:
            self._rename_inbox(owner, mailbox, new_name)
            return
        if new_name.startswith(name + SEPARATOR):
            raise BadMailboxName(f"{name} cannot become its own child {new_name}")
        family = [m for m in owner.mailboxes.values() if m is mailbox or m.view.name.startswith(name + SEPARATOR)]
        renamed = {id(m): mailbox_name(new_name + m.view.name[len(name) :]) for m in family}
        for target in renamed.values():
            _require_free(owner, target)
        for member in family:
            member.view.name = renamed[id(member)]
        for parent in parents(new_name):
            if owner.find(parent) is None:
                self._state.create_mailbox(owner, parent)
        self._state.publish([MailboxesChanged(account, owner.next_modseq())])

    def _rename_inbox(self, owner: AccountState, inbox: Mailbox, new_name: str) -> None:
        """RFC 9051 §6.3.6: the messages go to the new mailbox; INBOX stays, empty, and its children stay."""
        _require_free(owner, new_name)
        target = self._state.create_mailbox(owner, new_name)
        modseq = owner.next_modseq()
        uids = array("I", inbox.view.uids)
        changes: list[Change] = [MailboxesChanged(owner.account.id, modseq)]
        if uids:
            changes += self._move(owner, inbox, list(uids), target, modseq)[1]
        self._state.publish(changes)

    async def subscribe(self, account: int, name: str, *, subscribed: bool) -> None:
        owner = self._state.account(account)
        name = mailbox_name(name)
        if subscribed != (name in owner.subscriptions):
            if subscribed:
                require_room(len(owner.subscriptions))
            (owner.subscriptions.add if subscribed else owner.subscriptions.remove)(name)
            self._state.publish([MailboxesChanged(account, owner.next_modseq())])

    async def subscriptions(self, account: int) -> list[str]:
        return sorted(self._state.account(account).subscriptions, key=lambda n: (n != INBOX, n))

    async def open(self, account: int, name: str) -> MailboxView:
        return self._state.account(account).named(_existing_name(name)).view

    async def open_by_id(self, account: int, mailbox: int) -> MailboxView:
        return self._mailbox(account, mailbox).view

    async def claim_recent(self, account: int, mailbox: int) -> int:
        found = self._mailbox(account, mailbox)
        first, found.recent = found.recent, found.view.uidnext
        return first

    async def first_recent(self, account: int, mailbox: int) -> int:
        return self._mailbox(account, mailbox).recent

    # Messages

    async def append(self, account: int, name: str, messages: Sequence[NewMessage]) -> Appended:
        owner = self._state.account(account)
        mailbox = owner.named(_existing_name(name))
        view = mailbox.view
        replaced = sorted({m.replaces for m in messages if m.replaces in mailbox.messages and m.replaces is not None})
        size = sum(m.spool.size for m in messages)
        freed = sum(view.sizes[view.index(uid)] for uid in replaced)
        owner.need_room(size - freed)
        if not messages:
            return Appended(view.mailbox, view.uidvalidity, ())
        now = int(self._state.clock())
        contents = [m.spool.octets() for m in messages]
        modseq = owner.next_modseq()
        uids = []
        for new, octets in zip(messages, contents, strict=True):
            message = self._state.new_message(octets, summarise(octets))
            uids.append(mailbox.add(message, new.flags, modseq, now if new.internaldate is None else new.internaldate))
        owner.octets += size
        owner.messages += len(uids)
        changes: list[Change] = [MessagesAdded(account, view.mailbox, modseq, uids)]
        if replaced:
            changes.append(self._remove(owner, mailbox, replaced, modseq))
        self._state.publish(changes)
        return Appended(view.mailbox, view.uidvalidity, uids)

    async def copy(self, account: int, mailbox: int, uids: Sequence[int], target: str) -> Copied:
        owner = self._state.account(account)
        source = owner.by_id(mailbox)
        to = owner.named(_existing_name(target))
        present = _present(source, uids)
        if not present:
            return Copied(to.view.uidvalidity, (), ())
        octets = sum(len(source.messages[uid].octets) for uid in present)
        owner.need_room(octets)
        modseq = owner.next_modseq()
        new = self._copy(source, present, to, modseq)
        owner.octets += octets
        owner.messages += len(new)
        self._state.publish([MessagesAdded(account, to.view.mailbox, modseq, new)])
        return Copied(to.view.uidvalidity, present, new)

    async def move(
        self, account: int, mailbox: int, uids: Sequence[int], target: str, *, by: str | None = None
    ) -> Copied:
        del by  # an expunge is told to everyone alike
        owner = self._state.account(account)
        source = owner.by_id(mailbox)
        to = owner.named(_existing_name(target))
        present = _present(source, uids)
        if not present:
            return Copied(to.view.uidvalidity, (), ())
        new, changes = self._move(owner, source, present, to, owner.next_modseq())
        self._state.publish(changes)
        return Copied(to.view.uidvalidity, present, new)

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
        owner = self._state.account(account)
        view = owner.by_id(mailbox).view
        table = view.flag_table
        given = table.sets[table.number(flags)]  # in the mailbox's spelling
        changed, unchanged, failed, updates = [], [], [], []
        for uid in dict.fromkeys(uids):
            i = view.index(uid)
            if i < 0:
                continue
            if unchanged_since is not None and view.modseqs[i] > unchanged_since:
                failed.append(uid)
                continue
            number = table.number(_combine(table.sets[view.flags[i]], mode, given))
            if number == view.flags[i]:
                unchanged.append(uid)
            else:
                changed.append(uid)
                updates.append((i, number))
        if not changed:
            return Stored(view.highestmodseq, (), unchanged, failed)
        modseq = owner.next_modseq()
        view.set_flags(updates, modseq)
        self._state.publish([FlagsChanged(account, mailbox, modseq, sorted(changed), by)])
        return Stored(modseq, changed, unchanged, failed)

    async def expunge(
        self,
        account: int,
        mailbox: int,
        uids: Sequence[int] | None,
        *,
        deleted_only: bool = True,
        by: str | None = None,
    ) -> Sequence[int]:
        del by  # an expunge is told to everyone alike
        owner = self._state.account(account)
        found = owner.by_id(mailbox)
        view = found.view
        wanted = list(view.uids) if uids is None else sorted(_present(found, uids))
        gone = [u for u in wanted if not deleted_only or DELETED in (view.flags_of(u) or ())]
        if gone:
            self._state.publish([self._remove(owner, found, gone, owner.next_modseq())])
        return gone

    async def expunged_since(self, account: int, mailbox: int, modseq: int) -> Sequence[int]:
        return sorted(uid for when, uid in self._mailbox(account, mailbox).tombstones if when > modseq)

    async def records(self, account: int, mailbox: int, uids: Sequence[int]) -> list[MessageRecord | None]:
        messages = self._mailbox(account, mailbox).messages
        return [
            None
            if (m := messages.get(uid)) is None
            else MessageRecord(uid, m.summary, m.email_id, m.thread_id, m.savedate, m.trace_id, m.filed_by_server)
            for uid in uids
        ]

    async def listed(self, account: int, mailbox: int, uids: Sequence[int]) -> list[Listed | None]:
        messages = self._mailbox(account, mailbox).messages
        return [None if (m := messages.get(uid)) is None else listed(m.summary) for uid in uids]

    async def email_ids(self, account: int, mailbox: int, uids: Sequence[int]) -> list[str | None]:
        messages = self._mailbox(account, mailbox).messages
        return [None if (m := messages.get(uid)) is None else m.email_id for uid in uids]

    async def octets(
        self, account: int, mailbox: int, uid: int, start: int = 0, length: int | None = None
    ) -> bytes | None:
        message = self._mailbox(account, mailbox).messages.get(uid)
        return None if message is None else message.octets[start : None if length is None else start + length]

    async def contents(
        self, account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
    ) -> list[bytes | None]:
        lengths = [None] * len(uids) if sizes is None else sizes
        return [await self.octets(account, mailbox, uid, 0, length) for uid, length in zip(uids, lengths, strict=True)]

    async def may_hold(self, account: int, mailbox: int, needle: str) -> Sequence[int] | None:
        """Not known: there is no index."""
        self._mailbox(account, mailbox)
        del needle
        return None

    async def holding(self, account: int, mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
        """Not known: there is no index."""
        self._mailbox(account, mailbox)
        del needle, header
        return Held([], uids)

    def turn(self, account: int) -> Turn:
        return self._turns.of(account)

    async def compute(self, work: Callable[[], T]) -> T:
        return work()

    async def find_message_id(self, account: int, mailbox: int, message_id: str) -> Sequence[int]:
        messages = self._mailbox(account, mailbox).messages
        return sorted(uid for uid, m in messages.items() if m.summary.message_id == message_id)

    async def usage(self, account: int) -> tuple[int, int]:
        owner = self._state.account(account)
        return owner.octets, owner.messages

    # Steps of a transaction

    def _mailbox(self, account: int, mailbox: int) -> Mailbox:
        return self._state.account(account).by_id(mailbox)

    def _copy(self, source: Mailbox, uids: Sequence[int], target: Mailbox, modseq: int) -> list[int]:
        view = source.view
        now = int(self._state.clock())
        new = []
        for uid in uids:
            i = view.index(uid)
            message = source.messages[uid].copied(now)
            new.append(target.add(message, view.flag_table.sets[view.flags[i]], modseq, view.internaldates[i]))
        return new

    def _move(
        self, owner: AccountState, source: Mailbox, uids: Sequence[int], target: Mailbox, modseq: int
    ) -> tuple[list[int], list[Change]]:
        new = self._copy(source, uids, target, modseq)
        source.remove(uids, modseq)
        account = owner.account.id
        return new, [
            MessagesAdded(account, target.view.mailbox, modseq, new),
            MessagesExpunged(account, source.view.mailbox, modseq, sorted(uids)),
        ]

    def _remove(self, owner: AccountState, mailbox: Mailbox, uids: Sequence[int], modseq: int) -> MessagesExpunged:
        owner.octets -= sum(len(mailbox.messages[uid].octets) for uid in uids)
        owner.messages -= len(uids)
        mailbox.remove(uids, modseq)
        return MessagesExpunged(owner.account.id, mailbox.view.mailbox, modseq, uids)


def _present(mailbox: Mailbox, uids: Sequence[int]) -> list[int]:
    """Those that exist, each once, in the order they were given."""
    return [uid for uid in dict.fromkeys(uids) if uid in mailbox.messages]


def _combine(old: Flags, mode: StoreMode, given: Flags) -> Flags:
    match mode:
        case StoreMode.REPLACE:
            return given
        case StoreMode.ADD:
            return old | given
        case StoreMode.REMOVE:
            return old - given


def _existing_name(name: str) -> str:
    """The canonical form of a name that is looked up; a name that cannot be is simply not found."""
    try:
        return mailbox_name(name)
    except BadMailboxName:
        return name


def _require_free(owner: AccountState, name: str) -> None:
    if owner.find(name) is not None:
        raise MailboxExists(f"there is a mailbox called {name} already")
