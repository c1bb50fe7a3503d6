"""FETCH and UID FETCH (RFC 9051 §6.4.5); items and modifiers are in `imap.fetch`."""

from typing import Self

import msgspec

from pillarbox.imap.fetch.alike import DONE, answer_together
from pillarbox.imap.fetch.answer import Answer
from pillarbox.imap.fetch.metadata import MODSEQ
from pillarbox.imap.fetch.plan import Plan, read_plan
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet
from pillarbox.imap.registry import State, command, load
from pillarbox.imap.response import Completion, no, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox

load("pillarbox.imap.fetch")


@command("FETCH", state=State.SELECTED, uid=True, breaks_numbers=False)
class Fetch(msgspec.Struct, frozen=True):
    """Send what is asked for of messages."""

    messages: MessageSet
    plan: Plan

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        messages = cursor.sp().message_set()
        return cls(messages, read_plan(cursor.sp().rest(), by_uid=messages.by_uid, utf8=cursor.utf8))

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected, plan = session.mailbox, self.plan
        if MODSEQ in plan.items:
            session.enable_condstore()
        if plan.alike and (uid := self.messages.single) and await answer_together(session, uid, plan, out):
            return DONE
        spans = selected.spans(self.messages)
        for modifier in plan.modifiers:
            spans = modifier.narrow(session, spans, out)
        expected = sum(map(len, spans))
        answer = Answer(session, plan, out)
        await answer.send(spans)
        if answer.answered < expected and not self.messages.by_uid:
            # RFC 2180 §4.1: what is there was sent, and the client learns that the rest is gone.
            if not answer.answered:
                return no("The messages are gone", "EXPUNGEISSUED")
            return ok("Some of the messages are gone", "EXPUNGEISSUED")
        return DONE
