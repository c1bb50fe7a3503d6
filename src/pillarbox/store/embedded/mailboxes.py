"""Plans for mailboxes themselves: create, delete, rename, subscribe. See `store.api.Mail` for what each means."""

from pillarbox.store.api import (
    DEFAULT_MAILBOXES,
    INBOX,
    SEPARATOR,
    BadMailboxName,
    MailboxExists,
    MailboxInfo,
)
from pillarbox.store.changes import MailboxesChanged
from pillarbox.store.embedded.batch import Batch, OwnerDraft
from pillarbox.store.embedded.incoming import new_id
from pillarbox.store.embedded.messages import stage_move
from pillarbox.store.embedded.selection import Selection
from pillarbox.store.embedded.state import Mailbox, Owner
from pillarbox.store.names import mailbox_name, parents, require_room
from pillarbox.store.view import MailboxView


def create(batch: Batch, account: int, name: str, special_use: str) -> MailboxInfo:
    """Plan `Mail.create`."""
    owner = batch.restructure(account)
    name = mailbox_name(name)
    _require_free(owner.owner, name)
    require_room(len(owner.owner.mailboxes) + sum(m.account == account for m in batch.created))
    mailbox = stage_mailbox(batch, owner.owner, name, special_use)
    stage_structure(batch, owner)
    return owner.owner.info(mailbox)


def delete(batch: Batch, account: int, name: str) -> Mailbox:
    """Plan `Mail.delete`; returns the mailbox that is gone."""
    draft = batch.restructure(account)
    owner = draft.owner
    mailbox = owner.named(existing_name(name))
    if mailbox.name == INBOX:
        raise BadMailboxName("INBOX cannot be deleted")
    draft.octets -= mailbox.octets
    draft.messages -= mailbox.messages
    batch.execute("INSERT INTO deleted_mailboxes VALUES (?)", (mailbox.id,))
    batch.execute("DELETE FROM mailboxes WHERE id = ?", (mailbox.id,))
    for table in ("states", "changes", "expunges"):
        batch.execute(f"DELETE FROM {table} WHERE mailbox = ?", (mailbox.id,))

    def gone() -> None:
        del owner.mailboxes[mailbox.id]
        del owner.names[mailbox.name]
        batch.state.recent_claims.discard(mailbox)

    batch.then(gone)
    batch.sweep = True
    stage_structure(batch, draft, (mailbox.id,))
    return mailbox


def rename(batch: Batch, account: int, name: str, new_name: str, inbox: MailboxView | None) -> None:
    """Plan `Mail.rename`; `inbox` is the view of INBOX when that is what is renamed."""
    draft = batch.restructure(account)
    owner = draft.owner
    mailbox = owner.named(existing_name(name))
    new_name = mailbox_name(new_name)
    if mailbox.name == INBOX:
        assert inbox is not None
        _rename_inbox(batch, draft, mailbox, new_name, inbox)
        return
    if new_name.startswith(mailbox.name + SEPARATOR):
        raise BadMailboxName(f"{mailbox.name} cannot become its own child {new_name}")
    family = [m for m in owner.mailboxes.values() if m is mailbox or m.name.startswith(mailbox.name + SEPARATOR)]
    renamed = {m: mailbox_name(new_name + m.name[len(mailbox.name) :]) for m in family}
    for target in renamed.values():
        _require_free(owner, target)
    for member, target in renamed.items():
        batch.execute("UPDATE mailboxes SET name = ? WHERE id = ?", (target, member.id))

    def settled() -> None:
        for member in family:
            del owner.names[member.name]
        for member, target in renamed.items():
            member.name = target
            owner.names[target] = member
            if (view := member.loaded()) is not None:
                view.name = target

    batch.then(settled)
    staying = owner.names.keys() - {m.name for m in family} | set(renamed.values())
    for parent in parents(new_name):
        if parent not in staying:
            stage_mailbox(batch, owner, parent)
    stage_structure(batch, draft)


def subscribe(batch: Batch, account: int, name: str, *, subscribed: bool) -> None:
    """Plan `Mail.subscribe`."""
    draft = batch.restructure(account)
    owner = draft.owner
    name = mailbox_name(name)
    if subscribed == (name in owner.subscriptions):
        return
    if subscribed:
        require_room(len(owner.subscriptions))
        batch.execute("INSERT OR IGNORE INTO subscriptions VALUES (?, ?)", (account, name))
        batch.then(lambda: owner.subscriptions.add(name))
    else:
        batch.execute("DELETE FROM subscriptions WHERE account = ? AND name = ?", (account, name))
        batch.then(lambda: owner.subscriptions.discard(name))
    stage_structure(batch, draft)


def stage_mailbox(batch: Batch, owner: Owner, name: str, special_use: str | None = None) -> Mailbox:
    """Stage a mailbox and the parents it lacks. `name` is canonical and not taken; special_use None: as by default."""
    pending = {m.name for m in batch.created if m.account == owner.account.id}
    for parent in parents(name):
        if parent not in owner.names and parent not in pending:
            stage_mailbox(batch, owner, parent)
            pending.add(parent)
    state = batch.state
    use = DEFAULT_MAILBOXES.get(name, "") if special_use is None else special_use
    mailbox = Mailbox(state.next("mailbox"), owner.account.id, name, use, new_id("F"), state.next_uidvalidity())
    batch.created.append(mailbox)
    batch.count("mailbox", "uidvalidity")

    def settled() -> None:
        owner.mailboxes[mailbox.id] = owner.names[name] = mailbox

    batch.then(settled)
    return mailbox


def stage_structure(batch: Batch, draft: OwnerDraft, deleted: tuple[int, ...] = ()) -> None:
    """Stage that an account's mailboxes are others now."""
    account, modseq = draft.owner.account.id, draft.next_modseq()
    batch.execute("UPDATE accounts SET modseq = ? WHERE id = ?", (modseq, account))
    batch.publish(MailboxesChanged(account, modseq, deleted))


def existing_name(name: str) -> str:
    """The canonical form of a name that is looked up; a name that cannot be is simply not found."""
    try:
        return mailbox_name(name)
    except BadMailboxName:
        return name


def _rename_inbox(batch: Batch, draft: OwnerDraft, inbox: Mailbox, new_name: str, view: MailboxView) -> None:
    """RFC 9051 §6.3.6: the messages go to the new mailbox; INBOX stays, empty, and its children stay."""
    _require_free(draft.owner, new_name)
    target = stage_mailbox(batch, draft.owner, new_name)
    stage_structure(batch, draft)
    chosen = Selection(view, batch.mailbox(inbox), None)
    if chosen.uids:
        stage_move(batch, draft, chosen, view, inbox, target, None)


def _require_free(owner: Owner, name: str) -> None:
    if name in owner.names:
        raise MailboxExists(f"there is a mailbox called {name} already")
