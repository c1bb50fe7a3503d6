"""A message of any octets as clients get it: IMAP's FETCH and SEARCH and POP3's RETR, compared with the octets themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

from fuzz.targets.conversation import imap_lines
from fuzz.targets.engines import IMAP_LOGIN, POP3_LOGIN, imap_engine, pop3_engine
from fuzz.targets.world import NAME, OneAccount, run
from pillarbox.imap.fetch import answer, large
from pillarbox.pop3.policy import Policy as Pop3Policy
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.store.api import NewMessage, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Engine

_KEYS = derive_keys(b"pw", b"0123456789abcdef", 4096)
_DESCRIPTIONS = b"".join(
    b"d FETCH 1 (%b)\r\n" % items
    for items in (
        b"ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE INTERNALDATE PREVIEW EMAILID THREADID",
        b"BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[1.2.3]",
        b"BODY.PEEK[HEADER.FIELDS (SUBJECT TO X)] BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)] BODY.PEEK[]<3.10>",
        b"BINARY.PEEK[1]",
        b"BINARY.SIZE[1]",
        b"BINARY.PEEK[2.1]<1.5>",
    )
)
_SEARCHES = b"".join(
    b"s SEARCH %b\r\n" % key
    for key in (b"TEXT ab", b"BODY x", b'HEADER Subject ""', b"FROM a", b"SENTSINCE 1-Jan-2000", b"SUBJECT =")
)


def message(octets: bytes) -> None:
    """What is fetched is what was kept."""
    run(_message(octets))


async def _message(octets: bytes) -> None:
    store = MemoryStore(clock=lambda: 0)
    await store.directory.add_domain("b.test")
    await store.directory.add_account(NAME, PasswordHashes("", _KEYS))
    await store.mail.append(1, "INBOX", [NewMessage(Spool.of(octets))])
    for enabled in (b"", b"e ENABLE IMAP4rev2\r\n"):
        imap = imap_engine(1, store, OneAccount())
        await _ask(imap, IMAP_LOGIN + enabled + b"s EXAMINE INBOX\r\n")
        described = await _ask(imap, _DESCRIPTIONS + _SEARCHES)
        imap_lines(described)
        with _everything_is_large():
            assert await _ask(imap, _DESCRIPTIONS + _SEARCHES) == described, "large messages are described otherwise"
        whole = _literals(
            await _ask(imap, b"w FETCH 1 (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.SIZE)\r\n")
        )
        assert whole[0] == octets.replace(b"\0", b"\x80")
        assert whole[1] + whole[2] == whole[0], "header and text are the message"
        imap.disconnected()
    pop3 = pop3_engine(1, store, OneAccount())
    assert b"+OK 1 message" in await _ask(pop3, POP3_LOGIN)
    retrieved = await _ask(pop3, b"RETR 1\r\n")
    _check_retrieved(retrieved, octets.replace(b"\0", b"\x80"))
    pop3.session.policy = Pop3Policy(piece=5)
    assert await _ask(pop3, b"RETR 1\r\n") == retrieved, "the pieces that it is read in make a difference"
    top = await _ask(pop3, b"TOP 1 2\r\n")
    assert top.startswith(b"+OK")
    assert top.endswith(b"\r\n.\r\n")
    pop3.disconnected()


@contextmanager
def _everything_is_large() -> Iterator[None]:
    """The paths of messages that are sent in pieces, for small ones."""
    kept = answer.LARGE, large.PIECE
    answer.LARGE, large.PIECE = 1, 7
    try:
        yield
    finally:
        answer.LARGE, large.PIECE = kept


def _check_retrieved(reply: bytes, octets: bytes) -> None:
    """A client that ends lines at any LF undoes the dots and has the message, and perhaps one line end more."""
    first, _, rest = reply.partition(b"\r\n")
    assert first == b"+OK %d octets" % len(octets)
    lines = rest.split(b"\n")
    end = lines.index(b".\r")
    assert lines[end + 1 :] == [b""], "what follows the end would be read as the next reply"
    body = b"".join(line.removeprefix(b".") + b"\n" for line in lines[:end])
    assert body.startswith(octets)
    assert body[len(octets) :].strip(b"\r\n") == b"", "something was added"


async def _ask(engine: Engine, octets: bytes) -> bytes:
    if not engine.out.chunks and octets[:6] in (IMAP_LOGIN[:6], POP3_LOGIN[:6]):
        engine.connected()
    engine.receive(octets)
    await engine.process()
    return b"".join(engine.out.take())


def _literals(answer: bytes) -> list[bytes]:
    """The literals of a FETCH response; quoted strings and NIL too, as octets."""
    found: list[bytes] = []
    at = 0
    while (at := answer.find(b"] ", at)) >= 0:
        at += 2
        if answer[at : at + 1] == b"{":
            end = answer.index(b"}\r\n", at)
            size = int(answer[at + 1 : end])
            found.append(answer[end + 3 : end + 3 + size])
            at = end + 3 + size
        elif answer[at : at + 1] == b'"':
            end = answer.index(b'"', at + 1)
            found.append(answer[at + 1 : end])
            at = end
    return found
