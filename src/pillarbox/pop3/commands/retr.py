"""RETR: a whole message (RFC 1939 §5)."""

from pillarbox.pop3.errors import Disconnect, Refused
from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import MessageWriter
from pillarbox.pop3.session import Session


@command("RETR message", state=State.TRANSACTION, rfc="RFC 1939 §5")
async def retr(session: Session, argument: bytes) -> bytes:
    """Octet for octet; large messages in pieces, each as the client takes it."""
    drop, out, piece = session.maildrop, session.out, session.policy.piece
    index = drop.index(argument.strip())
    size = drop.size(index)
    octets = await drop.beginning(index, piece)
    out.write(b"+OK %d octets\r\n" % size)
    writer = MessageWriter(out)
    writer.write(octets)
    at = len(octets)
    while at < size:
        await out.drain()
        try:
            octets = await drop.read(index, at, piece)
        except Refused:
            octets = b""
        if not octets:
            raise Disconnect("")  # half a message is out: only the broken connection says that it is not whole
        writer.write(octets)
        at += len(octets)
    return writer.end()
