"""Plans for messages that arrive: `Store.accept` (and bounces) and `Mail.append`."""

from collections.abc import Callable, Sequence

from pillarbox.store.api import Appended, Delivery, NewMessage, Relay
from pillarbox.store.embedded.batch import Batch, OwnerDraft
from pillarbox.store.embedded.changelog import encode_flags
from pillarbox.store.embedded.incoming import Incoming, stage_message
from pillarbox.store.embedded.mailboxes import stage_mailbox, stage_structure
from pillarbox.store.embedded.queueing import stage_relay
from pillarbox.store.embedded.state import Mailbox
from pillarbox.store.embedded.steps import Added, Expunged
from pillarbox.store.names import mailbox_name
from pillarbox.store.view import MailboxView

Holds = Callable[[Batch, Mailbox, str], bool]
"""Whether a mailbox holds a Message-ID already."""


def accept(
    batch: Batch,
    parts: Sequence[tuple[Incoming, Sequence[Delivery]]],
    relay: Relay | None,
    trace_id: str,
    holds: Holds,
    *,
    within_quota: bool = True,
) -> None:
    """Plan `Store.accept`: each version of the message with its deliveries; the first is the one that is relayed."""
    owners = batch.state.owners
    known = [(d, mailbox_name(d.mailbox), part) for part, group in parts for d in group if d.account in owners]
    lacking = {d.account for d, name, _ in known if name not in owners[d.account].names}
    drafts = {a: batch.restructure(a) if a in lacking else batch.owner(a) for a in {d.account for d, _, _ in known}}
    wanted: list[tuple[OwnerDraft, Delivery, str, Incoming]] = []
    for delivery, name, incoming in known:
        draft = drafts[delivery.account]
        mailbox = draft.owner.names.get(name)
        if not delivery.sent_copy or mailbox is None or not holds(batch, mailbox, incoming.message_id):
            wanted.append((draft, delivery, name, incoming))
    if within_quota:
        for account, draft in drafts.items():
            draft.need_room(sum(part.size for _, d, _, part in wanted if d.account == account))
    relayed = [] if relay is None else [parts[0][0]]
    blobs = {id(part): part.stage(batch) for part, _ in parts if part in relayed or any(w[3] is part for w in wanted)}
    created: dict[tuple[int, str], Mailbox] = {}
    modseqs: dict[int, int] = {}
    for draft, delivery, name, incoming in wanted:
        account = delivery.account
        mailbox = draft.owner.names.get(name) or created.get((account, name))
        if mailbox is None:
            mailbox = created[account, name] = stage_mailbox(batch, draft.owner, name)
            stage_structure(batch, draft)
            modseqs[account] = draft.modseq
        modseq = modseqs.get(account) or modseqs.setdefault(account, draft.next_modseq())
        _deliver(batch, draft, mailbox, incoming, blobs[id(incoming)], delivery, modseq, trace_id)
    if relay is not None:
        stage_relay(batch, relay, blobs[id(parts[0][0])], parts[0][0].size)


def append(
    batch: Batch, account: int, name: str, messages: Sequence[tuple[NewMessage, Incoming]], view: MailboxView | None
) -> Appended:
    """Plan `Mail.append`; the view is needed when a message replaces another."""
    owner = batch.owner(account)
    mailbox = owner.owner.named(name)
    draft = batch.mailbox(mailbox)
    replaced: list[int] = []
    freed = 0
    if view is not None:
        wanted = {m.replaces for m, _ in messages if m.replaces is not None} - draft.removed
        replaced = sorted(uid for uid in wanted if view.index(uid) >= 0)
        freed = sum(view.sizes[view.index(uid)] for uid in replaced)
    owner.need_room(sum(i.size for _, i in messages) - freed)
    if not messages:
        return Appended(mailbox.id, mailbox.uidvalidity, ())
    modseq = owner.next_modseq()
    now = int(batch.state.clock())
    added = []
    for uid, (new, incoming) in enumerate(messages, draft.uidnext):
        internaldate = now if new.internaldate is None else new.internaldate
        blob = incoming.stage(batch)
        stage_message(batch, incoming, blob, mailbox.id, uid, modseq, encode_flags(new.flags), internaldate)
        added.append((uid, new.flags, incoming.size, internaldate))
    batch.add_step(owner, Added(mailbox, modseq, added))
    if replaced:
        batch.expunge(owner, Expunged(mailbox, modseq, replaced), freed, None)
    return Appended(mailbox.id, mailbox.uidvalidity, [m[0] for m in added])


def _deliver(
    batch: Batch,
    owner: OwnerDraft,
    mailbox: Mailbox,
    incoming: Incoming,
    blob: int,
    delivery: Delivery,
    modseq: int,
    trace_id: str,
) -> None:
    uid = batch.mailbox(mailbox).uidnext
    now = int(batch.state.clock())
    stage_message(
        batch, incoming, blob, mailbox.id, uid, modseq, encode_flags(delivery.flags), now,
        trace_id=trace_id, filed=delivery.sent_copy,
    )  # fmt: skip
    batch.add_step(owner, Added(mailbox, modseq, [(uid, delivery.flags, incoming.size, now)]))
