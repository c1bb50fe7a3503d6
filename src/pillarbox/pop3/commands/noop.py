"""NOOP: nothing, but the autologout timer starts anew (RFC 1939 §5)."""

from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import Session


@command("NOOP", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def noop(_session: Session, _argument: bytes) -> bytes:
    """Nothing."""
    return ok("Still here")
