"""NAMESPACE (RFC 9051 §6.3.10): one personal namespace, at the top."""

from dataclasses import dataclass

from pillarbox.imap.registry import Bare, State, command
from pillarbox.imap.response import Completion, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import SEPARATOR
from pillarbox.wire.outbox import Outbox


@command("NAMESPACE", state=State.LOGGED_IN, capability="NAMESPACE")
@dataclass(frozen=True, slots=True)
class Namespace(Bare):
    """Where mailboxes can be."""

    async def run(self, session: Session, out: Outbox) -> Completion:
        out.write(f'* NAMESPACE (("" "{SEPARATOR}")) NIL NIL\r\n'.encode())
        return ok("NAMESPACE completed")
