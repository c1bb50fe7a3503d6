"""Whatever comes in: only declared exceptions leave the engine, the answers are well-formed, cuts make no difference."""

import asyncio
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.imap.client import CUTS, Server, at_random, whole
from tests.imap.test_dialogs import DIALOGS, read

SEEDS = [line for path in DIALOGS for line in read(Path(path))[0].split(b"\r\n") if line]
WORDS = [
    b"{3}\r\nabc",
    b"{3+}\r\nabc",
    b"{0}\r\n",
    b'"',
    b"\\",
    b"(",
    b")",
    b"$",
    b"*",
    b"%",
    b"&",
    b"1:*",
    b"NIL",
    b"UID ",
    b"\r\n",
]
ANSWER = re.compile(rb"(?:\* |\+ |[^ \r\n+*]+ (?:OK|NO|BAD) )[^\r\n]*\r\n")


async def run(sent: bytes, *, logged_in: bool) -> None:
    answers = []
    for cut in (whole, at_random):
        server = await Server.start()
        client = await server.client("INBOX") if logged_in else server.connect()
        answers.append(await client.send(sent, cut))
        assert not [event for event in client.events if event[0] == "internal_error"], client.events
        client.engine.disconnected()
    assert answers[0] == answers[1]
    assert not ANSWER.sub(b"", answers[0])


def mutate(source: random.Random) -> bytes:
    """A few lines of real dialogs, damaged."""
    octets = bytearray(b"\r\n".join(source.choices(SEEDS, k=source.randint(1, 6))) + b"\r\n")
    for _ in range(source.randint(0, 6)):
        place = source.randrange(len(octets))
        match source.randrange(4):
            case 0:
                octets[place] = source.randrange(1, 256)
            case 1:
                del octets[place : place + source.randint(1, 8)]
            case 2:
                octets[place:place] = source.choice(WORDS)
            case _:
                octets[place:place] = octets[place : place + source.randint(1, 20)]
        if not octets:
            break
    return bytes(octets)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_dialogs(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(60):
        asyncio.run(run(mutate(source), logged_in=source.random() < 0.8))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from(SEEDS + WORDS)), max_size=10).map(b" ".join),
    st.booleans(),
)
def test_anything(octets: bytes, logged_in: bool) -> None:
    asyncio.run(run(octets + b"\r\n", logged_in=logged_in))


def test_all_ways_to_cut_are_used() -> None:
    assert {whole, at_random} <= set(CUTS)
