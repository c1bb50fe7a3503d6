"""QUIT: the UPDATE state (RFC 1939 §6)."""

from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import err, ok
from pillarbox.pop3.session import Session
from pillarbox.store.api import StoreError
from pillarbox.store.faults import kind_of
from pillarbox.wire.engine import Want


@command("QUIT", state=State.ANY, rfc="RFC 1939 §6")
async def quit_(session: Session, _argument: bytes) -> bytes:
    """+OK means that the deletions are on disk; otherwise nothing was deleted. The maildrop is free either way."""
    session.then = Want.CLOSE
    if session.identity is None:
        return ok("Goodbye")
    address, drop = session.identity.address, session.maildrop
    try:
        deleted = await drop.remove_deleted(session.link.id)
    except StoreError as error:
        session.link.emit("store_failed", fault=kind_of(error), error=str(error))
        return err("Nothing was deleted: the server cannot write just now; try again later", "SYS/TEMP")
    finally:
        session.close()
    session.link.emit("logout", account=address, deleted=deleted)
    return ok(f"Goodbye; {deleted} messages deleted")
