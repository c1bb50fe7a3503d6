"""Plans for what is done to messages of a mailbox: flags, expunge, copy and move. See `store.api.Mail` for what each means."""

from array import array
from collections.abc import Sequence
from itertools import compress

from pillarbox.store.api import Copied, Stored, StoreMode
from pillarbox.store.embedded.batch import Batch, CopiedRows, OwnerDraft
from pillarbox.store.embedded.selection import Selection, runs
from pillarbox.store.embedded.state import Mailbox
from pillarbox.store.embedded.steps import Added, Expunged, Flagged
from pillarbox.store.flags import DELETED, Flags
from pillarbox.store.view import MailboxView


def store_flags(
    batch: Batch,
    mailbox: Mailbox,
    view: MailboxView,
    uids: Sequence[int],
    mode: StoreMode,
    flags: Flags,
    unchanged_since: int | None,
    by: str | None,
) -> Stored:
    """Plan `Mail.store_flags`."""
    owner = batch.owner(mailbox.account)
    owner.owner.by_id(mailbox.id)
    draft = batch.mailbox(mailbox)
    chosen = Selection(view, draft, uids)
    table = view.flag_table
    given = table.sets[table.number(flags)]  # in the mailbox's spelling
    positions, found = chosen.positions, chosen.uids
    numbers: Sequence[int] = chosen.flags()
    failed: Sequence[int] = ()
    if unchanged_since is not None:
        modseqs = chosen.modseqs()
        if modseqs and max(modseqs) > unchanged_since:
            fresh = [modseq <= unchanged_since for modseq in modseqs]
            failed = [uid for uid, ok in zip(found, fresh, strict=True) if not ok]
            found, numbers, positions = (list(compress(values, fresh)) for values in (found, numbers, positions))
    new = {number: table.number(_combine(table.sets[number], mode, given)) for number in set(numbers)}
    changing = {old for old, number in new.items() if old != number}
    unchanged: Sequence[int] = ()
    if len(changing) < len(new):
        selectors = [number in changing for number in numbers]
        unchanged = [uid for uid, changes in zip(found, selectors, strict=True) if not changes]
        found, numbers, positions = (list(compress(values, selectors)) for values in (found, numbers, positions))
    if not found:
        return Stored(draft.modseq, (), unchanged, failed)
    target = [new[number] for number in numbers]
    modseq = owner.next_modseq()
    changed = found if isinstance(positions, range) else sorted(found)
    batch.add_step(owner, Flagged(mailbox, modseq, runs(view, positions, target), changed, by))
    return Stored(modseq, found, unchanged, failed)


def expunge(
    batch: Batch,
    mailbox: Mailbox,
    view: MailboxView,
    uids: Sequence[int] | None,
    by: str | None,
    *,
    deleted_only: bool,
) -> Sequence[int]:
    """Plan `Mail.expunge`."""
    owner = batch.owner(mailbox.account)
    owner.owner.by_id(mailbox.id)
    chosen = Selection(view, batch.mailbox(mailbox), uids)
    gone, sizes = chosen.uids, chosen.sizes()
    if deleted_only:
        deleted = {number for number, flags in enumerate(view.flag_table.sets) if DELETED in flags}
        selectors = [number in deleted for number in chosen.flags()]
        gone, sizes = list(compress(gone, selectors)), array("I", compress(sizes, selectors))
    gone = gone if chosen.whole else sorted(gone)
    if gone:
        batch.expunge(owner, Expunged(mailbox, owner.next_modseq(), gone), sum(sizes), by)
    return gone


def copy(batch: Batch, source: Mailbox, view: MailboxView, uids: Sequence[int], target: str) -> Copied:
    """Plan `Mail.copy`."""
    owner = batch.owner(source.account)
    owner.owner.by_id(source.id)
    to = owner.owner.named(target)
    chosen = Selection(view, batch.mailbox(source), uids)
    if not chosen.uids:
        return Copied(to.uidvalidity, (), ())
    owner.need_room(sum(chosen.sizes()))
    return Copied(to.uidvalidity, chosen.uids, stage_copy(batch, owner, chosen, view, to, owner.next_modseq()))


def move(batch: Batch, source: Mailbox, view: MailboxView, uids: Sequence[int], target: str, by: str | None) -> Copied:
    """Plan `Mail.move`."""
    owner = batch.owner(source.account)
    owner.owner.by_id(source.id)
    to = owner.owner.named(target)
    chosen = Selection(view, batch.mailbox(source), uids)
    if not chosen.uids:
        return Copied(to.uidvalidity, (), ())
    return Copied(to.uidvalidity, chosen.uids, stage_move(batch, owner, chosen, view, source, to, by))


def stage_move(
    batch: Batch,
    owner: OwnerDraft,
    chosen: Selection,
    view: MailboxView,
    source: Mailbox,
    target: Mailbox,
    by: str | None,
) -> Sequence[int]:
    """Copy and expunge in one; returns the new UIDs."""
    modseq = owner.next_modseq()
    new = stage_copy(batch, owner, chosen, view, target, modseq)
    gone = chosen.uids if chosen.whole else sorted(chosen.uids)
    batch.expunge(owner, Expunged(source, modseq, gone), sum(chosen.sizes()), by)
    return new


def stage_copy(
    batch: Batch, owner: OwnerDraft, chosen: Selection, view: MailboxView, target: Mailbox, modseq: int
) -> Sequence[int]:
    """Messages more in the target, with their flags; returns the new UIDs."""
    first = batch.mailbox(target).uidnext
    flags = list(map(view.flag_table.sets.__getitem__, chosen.flags()))
    new = range(first, first + len(flags))
    batch.copies.append(
        CopiedRows(target.id, first, modseq, int(batch.state.clock()), view.mailbox, chosen.uids, flags)
    )
    messages = list(zip(new, flags, chosen.sizes(), chosen.internaldates(), strict=True))
    batch.add_step(owner, Added(target, modseq, messages))
    return new


def _combine(old: Flags, mode: StoreMode, given: Flags) -> Flags:
    match mode:
        case StoreMode.REPLACE:
            return given
        case StoreMode.ADD:
            return old | given
        case StoreMode.REMOVE:
            return old - given
