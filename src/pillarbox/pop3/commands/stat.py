"""STAT: how many messages, how many octets (RFC 1939 §5)."""

from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import Session


@command("STAT", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def stat(session: Session, _argument: bytes) -> bytes:
    """Without those that are marked as deleted."""
    drop = session.maildrop
    return ok(f"{drop.count - len(drop.deleted)} {drop.total()}")
