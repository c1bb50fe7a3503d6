"""ID (RFC 2971). What a client says of itself is noted, and changes nothing (§3 of the RFC forbids it)."""

from dataclasses import dataclass
from typing import Self

import pillarbox
from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, capability, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.wire.outbox import Outbox

MAX_FIELDS = 30  # RFC 2971 §3.3
MAX_NAME = 30
MAX_VALUE = 1024

capability("ID", before_login=True)


@command("ID", state=State.ANY)
@dataclass(frozen=True, slots=True)
class Id:
    """Names and values that the client gives of itself."""

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        cursor.sp()
        if cursor.peek() != b"(":
            if cursor.nstring() is not None:
                raise BadSyntax("Expected NIL or a list of names and values")
            return cls(())
        values = cursor.parenthesised(cursor.nstring, empty=True)
        if len(values) % 2 or len(values) > 2 * MAX_FIELDS:
            raise BadSyntax(f"Expected at most {MAX_FIELDS} pairs of names and values")
        texts = [(value or b"").decode("utf-8", "replace") for value in values]
        pairs = tuple(zip(texts[::2], texts[1::2], strict=True))
        if any(len(name) > MAX_NAME or len(value) > MAX_VALUE for name, value in pairs):
            raise BadSyntax("A name or value is too long")
        return cls(pairs)

    async def run(self, session: Session, out: Outbox) -> Completion:
        if self.fields:
            session.link.emit("client_id", fields=dict(self.fields))
        # Strangers are not told the version: it would tell them which holes to try.
        version = f' "version" "{pillarbox.__version__}"' if session.identity else ""
        out.write(f'* ID ("name" "Pillarbox"{version})\r\n'.encode())
        return ok("ID completed")
