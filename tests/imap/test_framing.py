"""Framing: commands, literals and limits at the engine's door, however the octets are cut."""

import pytest
from tests.imap.client import CUTS, TLS, Cut, Server

from pillarbox.imap.framing import Framer, Literal
from pillarbox.imap.policy import CommandLimits, Limits, Policy
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import BACKLOG_LIMIT, Want

LIMITS = CommandLimits(200, 50)


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__)
def test_commands_and_literals_come_out_whole(cut: Cut) -> None:
    framer, spool = Framer(), Spool()
    octets = b'\r\na NOOP\r\nb X {3}\r\na\r\n {2+}\r\n{}\r\n\r\nc APPEND "{3}" ~{4}\r\nab\0d (x\r\nd Y {0}\r\n\r\n'
    seen: list[bytes] = []
    for piece in cut(octets):
        framer.feed(piece)
        while (found := framer.next(LIMITS)) is not None:
            if isinstance(found, Literal):
                seen.append(b"%d" % found.size + (b"!" if found.synchronising else b"+"))
                if b"APPEND" in found.prefix:
                    framer.divert(spool)
                else:
                    framer.collect()
            else:
                seen.append(found)
    assert seen == [
        b"a NOOP",
        b"3!",
        b"2+",
        b"b X {3}\r\na\r\n {2+}\r\n{}",
        b"4!",
        b'c APPEND "{3}" ~{4}\r\n (x',
        b"0!",
        b"d Y {0}\r\n",
    ]
    assert spool.octets() == b"ab\0d"
    assert len(framer) == 0


BYE = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"* BYE This is no web server\r\n"),
    (b"POST / HTTP/1.1\r\n\r\na1 LOGIN x y\r\n", b"* BYE This is no web server\r\n"),
    (b"a1 LOGIN a\0b c\r\n", b"* BYE NUL is not allowed in commands\r\n"),
    (b"a1 LOGIN {3+}\r\na\0b c\r\n", b"* BYE NUL is not allowed in commands\r\n"),
    (b"a1 LOGIN {4097+}\r\n", b"* BYE The literal is too large\r\n"),
    (b"a1 LOGIN {400000000+}\r\na2 NOOP\r\n", b"* BYE The literal is too large\r\n"),
    (b"a1 NOOP " + b"x" * 8200, b"* BYE The line is too long\r\n"),
    (b"a1 NOOP " + b"x" * 8200 + b" {20+}\r\na2 LOGOUT\r\n", b"* BYE The line is too long\r\n"),
]


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__)
@pytest.mark.parametrize(("sent", "answer"), BYE)
async def test_what_cannot_be_skipped_ends_the_connection(server: Server, sent: bytes, answer: bytes, cut: Cut) -> None:
    client = server.connect()
    assert await client.send(sent, cut) == answer
    assert client.engine.want is Want.CLOSE


async def test_a_large_synchronising_literal_is_refused_before_it_comes(server: Server) -> None:
    client = server.connect()
    assert await client.send(b"a1 LOGIN {400000000}\r\n") == b"a1 NO [TOOBIG] The literal is too large\r\n"
    assert await client.send(b"a2 NOOP\r\n") == b"a2 OK NOOP completed\r\n"


async def test_limits_grow_with_the_login(server: Server) -> None:
    client = await server.client()
    name = b"x" * 5000
    answer = await client.send(b"a1 STATUS {5000+}\r\n" + name + b" (MESSAGES)\r\n")
    assert answer.startswith(b"a1 NO [")
    answer = await client.send(b"a2 STATUS {102401}\r\n")
    assert answer == b"a2 NO [TOOBIG] The literal is too large\r\n"


async def test_many_literals_are_one_too_many(server: Server) -> None:
    client = await server.client(policy=Policy(limits=Limits(literals=3)))
    sent = b"a1 STATUS" + b" {1+}\r\nx" * 4 + b"\r\n"
    assert b"BYE Too many literals" in await client.send(sent)


async def test_a_long_line_never_stops_the_reading(server: Server) -> None:
    """A command may be longer than the backlog at which the network stops reading."""
    client = await server.client("INBOX")
    numbers = ",".join(f"{uid}:{uid}" for uid in range(4_000_000_001, 4_000_030_000, 2)).encode()
    assert len(numbers) > 2 * BACKLOG_LIMIT
    sent = b"a1 UID STORE " + numbers + b" +FLAGS (x)\r\n"
    answer = b""
    for start in range(0, len(sent), 50_000):
        answer += await client.send(sent[start : start + 50_000])
        assert client.engine.backlog <= BACKLOG_LIMIT
    assert answer == b"a1 OK There was nothing to change\r\n"


async def test_a_browser_after_starttls(server: Server) -> None:
    """Attackers let browsers begin with STARTTLS as a header (ALPACA): the first line inside TLS is looked at again."""
    client = server.connect(tls=None)
    await client.send(b"a1 STARTTLS\r\n")
    client.engine.tls_started(TLS)
    assert await client.send(b"GET / HTTP/1.1\r\n") == b"* BYE This is no web server\r\n"
