"""Whatever octets come as arguments, FETCH and SEARCH raise only BadSyntax, and what they accept they can run."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.imap.client import Server

from pillarbox.imap.commands.fetch import Fetch
from pillarbox.imap.commands.search import Search
from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

FETCH_WORDS = (
    b" ", b" 1", b"1:*", b"2,1", b"$", b"(", b")", b"FLAGS", b"UID", b"BODY", b"BODY.PEEK", b"[", b"]", b"1", b".", b"HEADER",
    b"HEADER.FIELDS", b".NOT", b"TEXT", b"MIME", b"(FROM)", b"<0.5>", b"<", b"RFC822", b".SIZE", b"BINARY", b"ENVELOPE",
    b"ALL", b" (CHANGEDSINCE 1)", b"MODSEQ", b"\xff", b'"', b"{3}\r\n",
)  # fmt: skip
SEARCH_WORDS = (
    b" ", b" ", b" 1", b"1:*", b"$", b"(", b")", b"NOT", b"OR", b"SEEN", b"ALL", b"FROM", b"BODY", b"TEXT", b"HEADER", b"x",
    b'""', b"SINCE", b"1-Jan-2020", b"LARGER", b"5", b"UID", b"RETURN", b"(MIN)", b"(SAVE)", b"CHARSET", b"UTF-8", b"MODSEQ",
    b"KEYWORD", b"\xff", b'"', b"{1}\r\na", b"OLDER",
)  # fmt: skip


@given(st.lists(st.sampled_from(FETCH_WORDS), max_size=14).map(b"".join) | st.binary(max_size=40), st.booleans())
@settings(max_examples=500, deadline=None)
def test_fetch(octets: bytes, by_uid: bool) -> None:
    try:
        Fetch.parse(Cursor(octets, by_uid=by_uid))
    except BadSyntax:
        pass


@given(st.lists(st.sampled_from(SEARCH_WORDS), max_size=14).map(b"".join) | st.binary(max_size=40), st.booleans())
@settings(max_examples=500, deadline=None)
def test_search(octets: bytes, by_uid: bool) -> None:
    try:
        Search.parse(Cursor(octets, by_uid=by_uid))
    except BadSyntax:
        pass


async def test_sessions_survive(server: Server) -> None:
    """Commands made of such words are answered, and the session goes on."""
    import random

    source = random.Random(1)
    await server.store.mail.append(
        server.account.id, "INBOX", [NewMessage(Spool.of(b"Subject: x\r\n\r\nbody")), NewMessage(Spool.of(b""))]
    )
    client = await server.client("INBOX")
    for _ in range(1500):
        command, words = source.choice(((b"FETCH ", FETCH_WORDS), (b"SEARCH ", SEARCH_WORDS)))
        pool = [word for word in words if b"{" not in word and b"\xff" not in word]
        pieces = [source.choice(pool) for _ in range(source.randint(1, 5))]
        octets = source.choice((b"", b"UID ")) + command + source.choice((b"", b" ")).join(pieces)
        answer = await client.send(b"a " + octets + b"\r\n")
        last = answer.split(b"\r\n")[-2]
        assert last.startswith((b"a OK ", b"a BAD ")), octets
    assert not [event for event, _ in client.events if event == "internal_error"]
