"""UID FETCH commands that were sent one behind the other and differ in nothing but tag and UID: isync pulls a mailbox so.

They are answered together, with one call of the store. What is sent is what each command alone would have sent: the session
is owed nothing, and nothing waits between the first response and the last. Where that does not hold, or where a message is
large or gone, the first command is answered alone.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from pillarbox.imap.fetch.answer import FEW, LARGE, Answer
from pillarbox.imap.fetch.plan import Plan
from pillarbox.imap.grammar import TAG
from pillarbox.imap.response import ok
from pillarbox.imap.session import Session
from pillarbox.imap.view import Selected, joined
from pillarbox.store.api import StoreError
from pillarbox.wire.outbox import HIGH_WATER, Outbox

DONE = ok("FETCH completed")

LOOKED_AT = 4096
"""Octets of what was received that are looked at: room for FEW commands of usual length."""

_COMMAND = re.compile(rb"(" + TAG.pattern + rb") [Uu][Ii][Dd] [Ff][Ee][Tt][Cc][Hh] ([1-9][0-9]{0,9}) ")
_END = b")\r\n"
_NEXT = DONE.encode("")

Command = tuple[bytes, int, int]
"""Its tag, the message's UID or sequence number, and where it ends in what is ahead."""


async def answer_together(session: Session, uid: int, plan: Plan, out: Outbox) -> bool:
    """Answer this command and those behind it, if there are any: of the last one, which `session.tag` then is, all but the
    tagged response."""
    selected = session.mailbox
    ahead = session.ahead.peek(LOOKED_AT)
    if not ahead or not selected.up_to_date:
        return False
    run = list(_run(selected, chain([(session.tag.encode(), uid, 0)], _behind(ahead, plan.alike))))
    if len(run) < 2:
        return False
    tags, numbers, ends = zip(*run, strict=True)
    spans = joined([number - 1 for number in numbers])
    uids = selected.take(spans)
    try:
        found = await session.mail.contents(session.account, selected.view.mailbox, uids)
    except StoreError:  # one of them cannot be read
        return False
    if None in found or not selected.up_to_date:
        return False
    Answer(session, plan, out).write(spans, None, (uids, found), [*[_END + tag + _NEXT for tag in tags[:-1]], _END])
    session.ahead.pass_over(ends[-1])
    session.tag = tags[-1].decode()
    session.link.commands["UID FETCH"] += len(run) - 1
    await out.drain(len(run))
    return True


def _behind(ahead: bytes, wording: bytes) -> Iterator[Command]:
    """Commands for one message each, of the same wording, by UID."""
    at, rest = 0, wording + b"\r\n"
    while (found := _COMMAND.match(ahead, at)) and ahead.startswith(rest, found.end()):
        at = found.end() + len(rest)
        yield found[1], int(found[2]), at


def _run(selected: Selected, commands: Iterable[Command]) -> Iterator[Command]:
    """Those of them, by sequence number, that one answer may take: few, and messages in their order, none of them large."""
    sizes, room, last = selected.view.sizes, HIGH_WATER, 0
    for tag, uid, end in islice(commands, FEW):
        number = selected.number(uid)
        if number <= last or sizes[number - 1] >= LARGE:
            return
        room -= sizes[number - 1]
        if room < 0:
            return
        yield tag, number, end
        last = number
