"""LIST: the size of each message (RFC 1939 §5)."""

from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import ok, send_listing
from pillarbox.pop3.session import Session


@command("LIST [message]", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def list_(session: Session, argument: bytes) -> bytes:
    """Octets as they are stored: what RETR sends, without the dots that were added."""
    drop = session.maildrop
    number = argument.strip()
    if number:
        index = drop.index(number)
        return ok(f"{index + 1} {drop.size(index)}")
    size = drop.size
    lines = (f"{i + 1} {size(i)}\r\n" for i in drop.present())
    return await send_listing(session.out, f"{drop.count - len(drop.deleted)} messages", lines)
