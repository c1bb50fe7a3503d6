"""STORE (RFC 9051 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3)."""

import re
from typing import Self

import msgspec

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet, encode_set
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, no, ok
from pillarbox.imap.session import Session
from pillarbox.imap.view import Selected
from pillarbox.store.api import Stored, StoreMode
from pillarbox.store.flags import RECENT, Flags
from pillarbox.wire.outbox import Outbox

_MODE = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.IGNORECASE)
_MODES = {b"": StoreMode.REPLACE, b"+": StoreMode.ADD, b"-": StoreMode.REMOVE}
MAX_FLAGS = 100  # in one command
MANY = 500  # messages: a millisecond of responses
AT_ONCE = 5000  # messages answered before others get their turn: one or two milliseconds


@command("STORE", state=State.SELECTED, uid=True, breaks_numbers=False)
class Store(msgspec.Struct, frozen=True):
    """Change flags of messages; `silent`: the client knows what comes out."""

    messages: MessageSet
    mode: StoreMode
    silent: bool
    flags: Flags
    unchanged_since: int | None = None

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        messages = cursor.sp().message_set()
        unchanged_since = None
        if cursor.sp().accept(b"("):
            if cursor.keyword() != "UNCHANGEDSINCE":
                raise BadSyntax("That modifier of STORE is not known")
            unchanged_since = cursor.sp().number64()
            cursor.expect(b")", "the end of the modifiers").sp()
        mode = cursor.match(_MODE)
        if mode is None:
            raise BadSyntax("Expected FLAGS, +FLAGS or -FLAGS")
        flags = _flags(cursor.sp())
        if len(flags) > MAX_FLAGS:
            raise BadSyntax(f"Expected at most {MAX_FLAGS} flags")
        return cls(messages, _MODES[mode[1]], mode[2] is not None, flags, unchanged_since)

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.writable
        if self.unchanged_since is not None:
            session.enable_condstore()
        spans = selected.spans(self.messages)
        uids = selected.take(spans)
        if not uids:
            return ok("There was nothing to change")
        stored = await session.mail.store_flags(
            session.account,
            selected.view.mailbox,
            uids,
            self.mode,
            self.flags,
            unchanged_since=self.unchanged_since,
            by=session.link.id,
        )
        if len(uids) > MANY:
            await out.give_way()  # one commit answers many sessions at the same moment
        await self._answer(selected, spans, stored, out)
        if stored.failed:
            numbers = stored.failed if self.messages.by_uid else [selected.number(uid) for uid in stored.failed]
            return ok("Some messages were changed by someone else meanwhile", f"MODIFIED {encode_set(numbers)}")
        if not self.messages.by_uid and len(stored.changed) + len(stored.unchanged) < len(uids):
            return no("Some of the messages are gone", "EXPUNGEISSUED")  # RFC 9051 §7.1
        return ok("STORE completed")

    async def _answer(self, selected: Selected, spans: list[range], stored: Stored, out: Outbox) -> None:
        """FETCH responses: the flags unless they were asked not to come, the modseqs for those who know them."""
        if self.silent and not selected.condstore:
            return
        if stored.failed:
            failed = set(stored.failed)
            spans = selected.spans_of(uid for uid in selected.take(spans) if uid not in failed)
        if self.silent:
            spans = selected.spans_of(sorted(stored.changed))
        selected.new_keywords(out)
        for span in spans:
            for start in range(span.start, span.stop, AT_ONCE):
                piece = [range(start, min(start + AT_ONCE, span.stop))]
                if self.silent:
                    selected.write_modseqs(out, piece)
                else:
                    selected.write_flags(out, piece, uid=self.messages.by_uid, modseq=selected.condstore)
                await out.drain()


def _flags(cursor: Cursor) -> Flags:
    """flag-list, or flags without parentheses."""
    if cursor.peek() == b"(":
        return cursor.flags()
    flags = {cursor.flag()}
    while not cursor.at_end:
        flags.add(cursor.sp().flag())
    return frozenset(flags) - {RECENT}
