"""UIDL: the unique-id of each message, which is permanent (RFC 1939 §7)."""

from pillarbox.pop3.errors import Refused
from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import ok, send_listing
from pillarbox.pop3.session import Session


@command("UIDL [message]", state=State.TRANSACTION, rfc="RFC 1939 §7", capability="UIDL")
async def uidl(session: Session, argument: bytes) -> bytes:
    """The id outlives sessions, moves and copies, and is never given to another message."""
    drop = session.maildrop
    number = argument.strip()
    if number:
        index = drop.index(number)
        unique_id = (await drop.unique_ids())[index]
        if unique_id is None:
            raise Refused("The message was deleted by another program meanwhile", "SYS/TEMP")
        return ok(f"{index + 1} {unique_id}")
    ids = await drop.unique_ids()
    lines = (f"{i + 1} {ids[i]}\r\n" for i in drop.present() if ids[i] is not None)
    return await send_listing(session.out, "Unique-ids follow", lines)
