"""ENABLE (RFC 9051 §6.3.1)."""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox

ENABLEABLE = {"CONDSTORE": "CONDSTORE", "IMAP4REV2": "IMAP4rev2", "UTF8=ACCEPT": "UTF8=ACCEPT"}
"""What can be enabled, and how it is spelt."""


@command("ENABLE", state=State.LOGGED_IN, capability="ENABLE")
@dataclass(frozen=True, slots=True)
class Enable:
    """Extensions that the client wants; those that are not known are passed over."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        names = [cursor.sp().keyword()]
        while not cursor.at_end:
            names.append(cursor.sp().keyword())
        return cls(tuple(names))

    async def run(self, session: Session, out: Outbox) -> Completion:
        known = [name for name in dict.fromkeys(self.names) if name in ENABLEABLE]
        out.write(f"{' '.join(('* ENABLED', *(ENABLEABLE[name] for name in known)))}\r\n".encode())
        if "CONDSTORE" in known:
            session.enable_condstore()
        session.enabled.update(known)
        if session.selected is not None:
            session.selected.with_recent = not session.rev2
        return ok("ENABLE completed")
