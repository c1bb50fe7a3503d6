"""Steps: what a commit did to one mailbox's messages. After the commit each is applied to the view, if it is in memory,
and published; a view that is just being read from the index catches up with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pillarbox.store.changes import FlagsChanged, MessagesAdded, MessagesExpunged
from pillarbox.store.embedded.changelog import Run
from pillarbox.store.embedded.state import Mailbox
from pillarbox.store.flags import Flags
from pillarbox.store.view import MailboxView


@dataclass(slots=True)
class Added:
    """Messages arrived: (uid, flags, size, internaldate) of each, ascending."""

    mailbox: Mailbox
    modseq: int
    messages: list[tuple[int, Flags, int, int]]

    @property
    def rows(self) -> int:
        """What opening the mailbox must read more of."""
        return len(self.messages)

    def apply(self, view: MailboxView) -> None:
        """Bring a view up to date."""
        view.add_all(self.messages, self.modseq)

    def change(self) -> MessagesAdded:
        """What is published."""
        return MessagesAdded(self.mailbox.account, self.mailbox.id, self.modseq, [m[0] for m in self.messages])


@dataclass(slots=True)
class Flagged:
    """Messages got other flags."""

    mailbox: Mailbox
    modseq: int
    runs: list[Run]
    uids: Sequence[int]
    by: str | None
    rows: ClassVar[int] = 1

    def apply(self, view: MailboxView) -> None:
        """Bring a view up to date."""
        set_runs(view, self.runs, self.modseq)

    def change(self) -> FlagsChanged:
        """What is published."""
        return FlagsChanged(self.mailbox.account, self.mailbox.id, self.modseq, self.uids, self.by)


@dataclass(slots=True)
class Expunged:
    """Messages went."""

    mailbox: Mailbox
    modseq: int
    uids: Sequence[int]
    rows: ClassVar[int] = 1

    def apply(self, view: MailboxView) -> None:
        """Bring a view up to date."""
        view.remove(self.uids, self.modseq)

    def change(self) -> MessagesExpunged:
        """What is published."""
        return MessagesExpunged(self.mailbox.account, self.mailbox.id, self.modseq, self.uids)


def set_runs(view: MailboxView, runs: Sequence[Run], modseq: int) -> None:
    """Apply runs to a view; they may be many, of few sets of flags."""
    numbers = {flags: view.flag_table.number(flags) for flags in {flags for _, _, flags in runs}}
    view.set_runs([(first, last, numbers[flags]) for first, last, flags in runs], modseq)


Step = Added | Flagged | Expunged


def bring_up_to_date(view: MailboxView, step: Step, change: MessagesAdded | FlagsChanged | MessagesExpunged) -> None:
    """Apply a committed step, unless the view was read from the index after that commit."""
    if step.modseq > step.mailbox.view_modseq:
        step.apply(view)
        view.record(change)
