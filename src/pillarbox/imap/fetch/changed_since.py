"""FETCH (CHANGEDSINCE n) (RFC 7162 §3.1.4.1)."""

from dataclasses import dataclass
from typing import ClassVar

from pillarbox.imap.fetch.item import MODIFIER, Item
from pillarbox.imap.fetch.metadata import MODSEQ
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """Only messages whose modseq is above `modseq`; MODSEQ is fetched too."""

    modseq: int
    items: ClassVar[tuple[Item, ...]] = (MODSEQ,)

    def narrow(self, session: Session, spans: list[range], _out: Outbox) -> list[range]:
        """Join what is left to ranges again, so that a mailbox without changes costs nothing more."""
        selected = session.mailbox
        modseqs, least = selected.view.modseqs, self.modseq
        if selected.view.highestmodseq <= least:
            return []
        left: list[range] = []
        start = stop = -1
        for number, _uid, at in selected.messages(spans):
            if modseqs[at] <= least:
                continue
            if number - 1 != stop:
                if stop >= 0:
                    left.append(range(start, stop))
                start = number - 1
            stop = number
        if stop >= 0:
            left.append(range(start, stop))
        return left


@MODIFIER("CHANGEDSINCE")
def changed_since(cursor: Cursor) -> ChangedSince:
    """CHANGEDSINCE n; iOS asks for 0, which the grammar does not allow and everyone accepts."""
    return ChangedSince(cursor.sp().number64())
