"""An index of all text on both sides: what filling it costs, and what searches cost with it.

Pillarbox always has one; Dovecot gets Squat, its own index of substrings. Each round has fresh servers, so that the other rows
measure the peers as they are installed.
"""

import time

from bench.client import Imap
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, quiet, workload
from bench.workloads.listing import SIZE, append_all

RARE = ("TEXT xylophone", "TEXT quarterly-never", "TEXT 1234.root@example.org", "TEXT 77.root@exam")
"""In no message, or in the header of a few."""

COMMON = ("BODY garden", "BODY agreeabl", "BODY uarter")
"""The first word and the last, a piece from inside of one, are in nearly all messages; the second in none."""


async def _fill(stack: Stack) -> None:
    session = await Imap.login(stack, account(0))
    await append_all(session)
    await session.logout()
    await quiet(stack)
    if not stack.index_octets():
        raise RuntimeError(f"{stack.name} has no index")


@workload(
    "fill-indexed", "APPEND of 10,000 and a full-text index of them, both sides", "message", accounts=1, indexed=True
)
async def fill(stack: Stack, meter: Meter) -> None:
    corpus(SIZE)
    await quiet(stack)
    meter.begin()
    await _fill(stack)
    meter.end(SIZE)
    meter.extra["KB of index per message"] = stack.index_octets() / SIZE / 1024


def holding(query: str, mail: list[bytes]) -> set[int]:
    """Which messages of the corpus, by number from 1, "BODY word" or "TEXT word" means: their text is ASCII, their words whole,
    and what is attached has none."""
    key, _, word = query.partition(" ")
    needle = word.lower().encode()
    found = set()
    for number, message in enumerate(mail, 1):
        head, _, body = message.partition(b"\r\n\r\n")
        text = body.partition(b"Content-Type: application/pdf")[0]
        if needle in text.lower() or (key == "TEXT" and needle in head.lower()):
            found.add(number)
    return found


async def _search(stack: Stack, meter: Meter, queries: tuple[str, ...]) -> None:
    await _fill(stack)
    session = await Imap.login(stack, account(0))
    await session("SELECT INBOX")
    for query in queries:  # as a check, and because both keep in memory what they have opened
        answer = await session(f"UID SEARCH {query}")
        if set(map(int, answer.split(b"\r\n")[0].split()[2:])) != holding(query, corpus(SIZE)):
            raise RuntimeError(f"{stack.name} does not find what {query} means")
    meter.begin()
    for query in 3 * queries:
        start = time.perf_counter()
        await session(f"UID SEARCH {query}")
        meter.latencies.append(time.perf_counter() - start)
    meter.end(3 * len(queries))
    await session.logout()


@workload(
    "search-indexed",
    "SEARCH TEXT over 10,000, both indexed, what few hold",
    "search",
    accounts=1,
    rounds=1,
    indexed=True,
)
async def rare(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, RARE)


@workload(
    "search-indexed-common",
    "SEARCH BODY over 10,000, both indexed, what nearly all hold",
    "search",
    accounts=1,
    rounds=1,
    indexed=True,
)
async def common(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, COMMON)
