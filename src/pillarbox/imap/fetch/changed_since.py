"""FETCH (CHANGEDSINCE n) (RFC 7162 §3.1.4.1)."""

from dataclasses import dataclass
from typing import ClassVar

from pillarbox.imap.fetch.item import MODIFIER, Item
from pillarbox.imap.fetch.metadata import MODSEQ
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.session import Session
from pillarbox.imap.view import joined
from pillarbox.store.changes import MessagesExpunged
from pillarbox.store.view import MailboxView
from pillarbox.wire.outbox import Outbox

MANY = 1000
"""Messages in one change: there, going through the mailbox is cheaper."""


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """Only messages whose modseq is above `modseq`; MODSEQ is fetched too."""

    modseq: int
    items: ClassVar[tuple[Item, ...]] = (MODSEQ,)

    def narrow(self, session: Session, spans: list[range], _out: Outbox) -> list[range]:
        """Join what is left to ranges again, so that a mailbox without changes costs nothing more. Whoever asks for all that
        is new gets it from the journal, whatever the mailbox's size."""
        selected = session.mailbox
        view, least = selected.view, self.modseq
        if view.highestmodseq <= least:
            return []
        if spans == [range(selected.count)] and (uids := _journalled(view, least)) is not None:
            return selected.spans_of(uids)
        modseqs = view.modseqs
        if not selected.in_step:
            return joined([number - 1 for number, _, at in selected.messages(spans) if modseqs[at] > least])
        left: list[int] = []
        for span in spans:
            chosen = enumerate(modseqs[span.start : span.stop], span.start)
            left += [position for position, modseq in chosen if modseq > least]
        return spans if len(left) == sum(map(len, spans)) else joined(left)


def _journalled(view: MailboxView, least: int) -> list[int] | None:
    """UIDs of the messages that changed since, ascending, from the journal; None when it does not say, or says much."""
    if view.journal_start > least:
        return None
    uids: set[int] = set()
    for change in reversed(view.journal):
        if change.modseq <= least:
            break
        if isinstance(change, MessagesExpunged):
            continue
        if len(change.uids) > MANY:
            return None
        uids.update(change.uids)
    return sorted(uid for uid in uids if view.index(uid) >= 0)


@MODIFIER("CHANGEDSINCE")
def changed_since(cursor: Cursor) -> ChangedSince:
    """CHANGEDSINCE n; iOS asks for 0, which the grammar does not allow and everyone accepts."""
    return ChangedSince(cursor.sp().number64())
