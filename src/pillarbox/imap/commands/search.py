"""SEARCH and UID SEARCH (RFC 9051 §6.4.4), ESEARCH (RFC 4731), SEARCHRES (RFC 5182); keys are in `imap.search`."""

from typing import Self

import msgspec

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command, load
from pillarbox.imap.response import Completion, no, ok
from pillarbox.imap.search.key import All, Key, Reading
from pillarbox.imap.search.program import Program
from pillarbox.imap.search.result import RETURN, Result, esearch, saved, search
from pillarbox.imap.search.scope import Scope
from pillarbox.imap.session import Session
from pillarbox.mail.charset import is_known
from pillarbox.store.api import StoreError
from pillarbox.wire.outbox import Outbox

load("pillarbox.imap.search")


@command("SEARCH", state=State.SELECTED, uid=True, breaks_numbers=False)
class Search(msgspec.Struct, frozen=True):
    """Find messages. `options` are RETURN's, None where the client did not give any."""

    key: Key
    by_uid: bool
    options: tuple[str, ...] | None = None
    charset: str = ""
    uses_modseq: bool = False

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        options = None
        start = cursor.sp().position
        if cursor.peek().upper() in (b"R", b"C"):
            word = cursor.keyword()
            if word == "RETURN":
                options = _options(cursor)
                start = cursor.sp().position
                word = cursor.keyword() if cursor.peek().upper() == b"C" else ""
            if word == "CHARSET":
                charset = cursor.sp().astring().decode("ascii", "replace")
                cursor.sp()
                reading = Reading(cursor, charset)
            else:
                cursor.position = start
                reading = Reading(cursor)
        else:
            reading = Reading(cursor)
        # Clients quote what was typed, K-9 without a word about the charset, although only a literal may hold UTF-8.
        cursor.utf8 = True
        keys = [reading.key()]
        while not cursor.at_end:
            cursor.sp()
            keys.append(reading.key())
        key = keys[0] if len(keys) == 1 else All(tuple(keys))
        return cls(key, cursor.by_uid, options, reading.charset, reading.uses_modseq)

    async def run(self, session: Session, out: Outbox) -> Completion:
        selected = session.mailbox
        saves = self.options is not None and "SAVE" in self.options
        if self.charset and not is_known(self.charset):
            if saves:
                selected.saved = ()
            return no("Texts in that charset cannot be read here", "BADCHARSET (UTF-8 US-ASCII)")
        if self.uses_modseq:
            session.enable_condstore()
        scope = Scope(selected, session.clock())
        program = Program(session.mail, session.account, selected.view.mailbox, scope, out.give_way)
        try:
            found = await program.run(self.key, scope.everything)
        except StoreError:
            if saves:
                selected.saved = ()  # RFC 9051 §6.4.4.1
            raise
        uids = [scope.uids[at] for at in found]
        shown = uids if self.by_uid else [scope.numbers[at] for at in found]
        result = Result(shown, uids, [scope.modseqs[at] for at in found] if self.uses_modseq else None)
        self._tell(session, result, out)
        if saves and self.options is not None:
            selected.saved = saved(result, self.options)
            return ok("SEARCH completed, result saved")
        return ok("SEARCH completed")

    def _tell(self, session: Session, result: Result, out: Outbox) -> None:
        options = self.options
        if options is None:
            if not session.rev2:
                out.write(search(result))
                return
            options = ("ALL",)  # RFC 9051 §6.4.4: there is no SEARCH response any more
        if options != ("SAVE",):
            out.write(esearch(result, options, session.tag, by_uid=self.by_uid))


def _options(cursor: Cursor) -> tuple[str, ...]:
    """RETURN (options): none means ALL."""
    options = cursor.sp().parenthesised(cursor.keyword, empty=True)
    for option in options:
        if RETURN.get(option) is None:
            raise BadSyntax("There is no such RETURN option")
    return tuple(dict.fromkeys(options)) or ("ALL",)
