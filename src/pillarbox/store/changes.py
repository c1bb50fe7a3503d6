"""The change feed: what each commit changed. IMAP, POP3 and hooks all consume it.

Level-triggered: a watcher is told that something changed and reads the state it needs from the store; a lost or merged
wake-up costs latency, never data. Published after the commit, in the order of modseq, on the event loop.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec


class MessagesAdded(msgspec.Struct, frozen=True):
    """Messages arrived in a mailbox; uids ascend."""

    account: int
    mailbox: int
    modseq: int
    uids: Sequence[int]


class FlagsChanged(msgspec.Struct, frozen=True):
    """Flags of these messages changed. `by` is the session that did it (None: the server)."""

    account: int
    mailbox: int
    modseq: int
    uids: Sequence[int]
    by: str | None = None


class MessagesExpunged(msgspec.Struct, frozen=True):
    """These messages are gone."""

    account: int
    mailbox: int
    modseq: int
    uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class MailboxesChanged:
    """Mailboxes were created, renamed, deleted or (un)subscribed; `deleted` are the ids that are gone."""

    account: int
    modseq: int
    deleted: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class AccountClosed:
    """The account was removed or disabled, or its password changed: its sessions end."""

    account: int


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Something is due, perhaps: the queue runner looks again. `account` is always 0."""

    account: int = 0


Change = MessagesAdded | FlagsChanged | MessagesExpunged | MailboxesChanged | AccountClosed | QueueChanged
Watcher = Callable[[Change], None]


class ChangeFeed:
    """Who wants to know what changed in which account. Watchers run at once and must be short and must not raise."""

    def __init__(self) -> None:
        self._watchers: defaultdict[int, list[Watcher]] = defaultdict(list)

    def watch(self, account: int, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` for each change of the account (0: the queue) until the returned function is called."""
        self._watchers[account].append(watcher)

        def stop() -> None:
            watchers = self._watchers.get(account, [])
            if watcher in watchers:
                watchers.remove(watcher)
            if not watchers:
                self._watchers.pop(account, None)

        return stop

    def publish(self, change: Change) -> None:
        """Tell everyone who watches the account."""
        for watcher in tuple(self._watchers.get(change.account, ())):
            watcher(change)
