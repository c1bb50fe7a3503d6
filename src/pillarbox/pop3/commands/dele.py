"""DELE and RSET: mark a message as deleted, take the marks back (RFC 1939 §5)."""

from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import Session


@command("DELE message", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def dele(session: Session, argument: bytes) -> bytes:
    """Nothing is removed before QUIT."""
    drop = session.maildrop
    drop.deleted.add(drop.index(argument.strip()))
    return ok("Marked; QUIT deletes")


@command("RSET", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def rset(session: Session, _argument: bytes) -> bytes:
    """All marks are gone."""
    session.maildrop.deleted.clear()
    return ok(f"{session.maildrop.count} messages")
