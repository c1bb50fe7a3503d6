"""Mail of one account out of a backup, added to what is there: nothing is overwritten, nothing is doubled.

A message counts as there when its mailbox holds it by its permanent identifier or octet by octet. Flags, keywords and
internal dates come along. A mailbox or account that is gone is made again, an account with its password and quota.
"""

import hashlib
import zlib
from dataclasses import dataclass, field

from pillarbox.store.api import (
    Account,
    AlreadyExists,
    MailboxInfo,
    NewMessage,
    NoSuchAccount,
    NoSuchMailbox,
    Store,
    StoreError,
    StoreUnavailable,
)
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.flags import Flags
from pillarbox.store.spool import Spool
from pillarbox.store.view import MailboxView

_STEP = 8 * 1024 * 1024  # octets of messages that are added at once
_MESSAGES = 100  # and how many of them


@dataclass(slots=True)
class Restored:
    """How many messages were added and how many were there already; which could not be read, as sentences."""

    added: int = 0
    present: int = 0
    unreadable: list[str] = field(default_factory=list)


async def restore_mail(source: EmbeddedStore, target: Store, address: str, mailbox: str | None = None) -> Restored:
    """Bring one mailbox of an account (None: all) back. Raises NoSuchAccount, NoSuchMailbox, StoreError; what was added
    before stays, and is not added again."""
    old = await source.directory.account(address)
    if old is None:
        raise NoSuchAccount(f"the backup has no account {address}")
    wanted = [m for m in await source.mail.mailboxes(old.id) if mailbox is None or m.name == _name(mailbox)]
    if not wanted:
        raise NoSuchMailbox(f"the backup has no mailbox {mailbox} of {address}")
    new = await _account(source, target, old)
    restored = Restored()
    for info in wanted:
        await _Mailbox(source, target, info, restored).run(old, new)
    return restored


def _name(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


async def _account(source: EmbeddedStore, target: Store, old: Account) -> Account:
    there = await target.directory.account(old.address)
    if there is not None:
        return there
    hashes = await source.directory.hashes(old.id)
    if hashes is None:
        raise StoreError(f"the backup has no password of {old.address}: add the account first")
    domain = old.address.rpartition("@")[2]
    if not await target.directory.is_local(domain):
        await target.directory.add_domain(domain)
    try:
        made = await target.directory.add_account(old.address, hashes, quota=old.quota)
    except AlreadyExists:
        raise StoreError(f"{old.address} is an alias now: remove that first") from None
    if old.disabled:
        await target.directory.set_disabled(made.id, disabled=True)
    return made


class _Mailbox:
    """One mailbox on its way."""

    def __init__(self, source: EmbeddedStore, target: Store, info: MailboxInfo, restored: Restored) -> None:
        self._source = source
        self._target = target
        self._info = info
        self._restored = restored

    async def run(self, old: Account, new: Account) -> None:
        there = await self._open(new)
        mine = await self._source.mail.open_by_id(old.id, self._info.id)
        uids = list(mine.uids)
        known = set(await self._target.mail.email_ids(new.id, there.mailbox, list(there.uids)))
        lacking = [
            uid
            for uid, email_id in zip(uids, await self._source.mail.email_ids(old.id, self._info.id, uids), strict=True)
            if email_id not in known
        ]
        self._restored.present += len(uids) - len(lacking)
        digests = await self._digests(new, there, {mine.sizes[mine.index(uid)] for uid in lacking})
        waiting: list[NewMessage] = []
        for uid in lacking:
            octets = await self._octets(old, uid)
            if octets is None:
                self._restored.unreadable.append(f"message {uid} in {self._info.name} is damaged in the backup")
                continue
            digest = hashlib.sha256(octets).digest()
            if digest in digests:
                self._restored.present += 1
                continue
            digests.add(digest)
            flags: Flags = mine.flags_of(uid) or frozenset()
            waiting.append(NewMessage(Spool.of(octets), flags, mine.internaldates[mine.index(uid)]))
            if len(waiting) >= _MESSAGES or sum(m.spool.size for m in waiting) >= _STEP:
                await self._add(new, waiting)
                waiting = []
        await self._add(new, waiting)

    async def _open(self, new: Account) -> MailboxView:
        mail, info = self._target.mail, self._info
        try:
            return await mail.open(new.id, info.name)
        except NoSuchMailbox:
            taken = {m.special_use for m in await mail.mailboxes(new.id)}
            await mail.create(new.id, info.name, special_use="" if info.special_use in taken else info.special_use)
            if info.subscribed:
                await mail.subscribe(new.id, info.name, subscribed=True)
            return await mail.open(new.id, info.name)

    async def _digests(self, new: Account, there: MailboxView, sizes: set[int]) -> set[bytes]:
        """Of the messages that are there, those that may be the same: their hashes."""
        found = set()
        for uid, size in list(zip(there.uids, there.sizes, strict=True)):
            if size in sizes:
                octets = await self._target.mail.octets(new.id, there.mailbox, uid)
                if octets is not None:
                    found.add(hashlib.sha256(octets).digest())
        return found

    async def _octets(self, old: Account, uid: int) -> bytes | None:
        crc = await self._source.check.crc(self._info.id, uid)
        try:
            octets = await self._source.mail.octets(old.id, self._info.id, uid)
        except StoreUnavailable:
            return None
        return octets if octets is not None and zlib.crc32(octets) == crc else None

    async def _add(self, new: Account, messages: list[NewMessage]) -> None:
        if messages:
            await self._target.mail.append(new.id, self._info.name, messages)
            self._restored.added += len(messages)
