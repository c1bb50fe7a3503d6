"""STLS: TLS on this connection (RFC 2595 §4)."""

from pillarbox.pop3.errors import Refused
from pillarbox.pop3.registry import State, capability, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import Session
from pillarbox.wire.engine import Want


@capability("STLS")
def _announced(session: Session) -> str | None:
    return "" if session.link.tls is None else None


@command("STLS", state=State.AUTHORIZATION, rfc="RFC 2595 §4", capability="STLS")
async def stls(session: Session, _argument: bytes) -> bytes:
    """The engine closes instead when anything follows in the clear."""
    if session.link.tls is not None:
        raise Refused("TLS is active already")
    session.then = Want.TLS
    return ok("Begin TLS")
