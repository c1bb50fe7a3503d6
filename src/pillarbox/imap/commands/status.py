"""STATUS (RFC 9051 §6.3.11), with SIZE (RFC 8438), HIGHESTMODSEQ (RFC 7162 §3.1.7) and APPENDLIMIT (RFC 7889)."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Self

import msgspec

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import Registry, State, command
from pillarbox.imap.response import Completion, mailbox, ok
from pillarbox.imap.session import Session
from pillarbox.store.view import MailboxView
from pillarbox.wire.outbox import Outbox

status_item: Registry[Callable[[MailboxView], int]] = Registry("STATUS item")

status_item("MESSAGES")(lambda view: len(view.uids))
status_item("UIDNEXT")(lambda view: view.uidnext)
status_item("UIDVALIDITY")(lambda view: view.uidvalidity)
status_item("UNSEEN")(lambda view: view.unseen)
status_item("DELETED")(lambda view: view.deleted)
status_item("SIZE")(lambda view: view.octets)
status_item("HIGHESTMODSEQ")(lambda view: view.highestmodseq)


@command("STATUS", state=State.LOGGED_IN, capability="STATUS=SIZE")
class Status(msgspec.Struct, frozen=True):
    """Figures of a mailbox, without opening it."""

    name: str
    items: tuple[str, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.sp().mailbox(), read_items(cursor.sp()))

    async def run(self, session: Session, out: Outbox) -> Completion:
        view = await session.mail.open(session.account, self.name)
        out.write(await status_response(session, view, self.items))
        return ok("STATUS completed")


def read_items(cursor: Cursor) -> tuple[str, ...]:
    """The items in their parentheses."""
    items = cursor.parenthesised(cursor.keyword)
    if any(status_item.get(name) is None and name not in ("RECENT", "APPENDLIMIT") for name in items):
        raise BadSyntax("A STATUS item is not known")
    return tuple(dict.fromkeys(items))


async def status_response(session: Session, view: MailboxView, items: Sequence[str]) -> bytes:
    """* STATUS. Asking for HIGHESTMODSEQ enables CONDSTORE (RFC 7162 §3.1)."""
    figures = []
    for name in items:
        item = status_item.get(name)
        figure = item(view) if item is not None else await _session_figure(session, view, name)
        figures.append(f"{name} {figure}")
    if "HIGHESTMODSEQ" in items:
        session.enable_condstore()
    return b"* STATUS %b (%b)\r\n" % (mailbox(view.name, utf8=session.utf8), " ".join(figures).encode())


async def _session_figure(session: Session, view: MailboxView, name: str) -> int:
    """What depends on who asks."""
    if name == "APPENDLIMIT":
        return session.policy.max_message
    selected = session.selected
    if selected is not None and selected.view is view:
        return selected.recent
    first = await session.mail.first_recent(session.account, view.mailbox)
    return len(view.uids) - bisect_left(view.uids, first)
