"""SEARCH over 10,000 messages."""

import asyncio
import time

from bench.client import Imap
from bench.stack import Stack
from bench.workload import Meter, workload
from bench.workloads.listing import BIG, filled

PATIENCE = 120
"""Seconds that a server gets to finish what it does behind delivery, such as an index."""


async def _settled(session: Imap, query: str) -> None:
    """Ask until the answer comes at once, or patience ends."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        start = time.perf_counter()
        await session(f"UID SEARCH {query}")
        if time.perf_counter() - start < 0.05:
            return
        await asyncio.sleep(5)


async def _search(stack: Stack, meter: Meter, queries: list[str]) -> None:
    await filled(stack)
    session = await Imap.login(stack, BIG)
    await session("SELECT INBOX")
    await _settled(session, queries[0])
    meter.begin()
    for query in queries:
        start = time.perf_counter()
        await session(f"UID SEARCH {query}")
        meter.latencies.append(time.perf_counter() - start)
    meter.end(len(queries))
    await session.logout()


@workload("search-text", "SEARCH BODY or TEXT over 10,000", "search", goal=5000)
async def text(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, ["BODY xylophone", "TEXT quarterly-never"])


@workload("search-subject", "SEARCH SUBJECT", "search", goal=5000)
async def subject(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, [f"SUBJECT {word}" for word in ("invoice", "garden", "xylophone", "budget")] * 3)


@workload("search-since", "SEARCH SINCE + UNSEEN", "search", goal=1500)
async def since(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, ["SINCE 1-Sep-2026 UNSEEN", "SINCE 20-Sep-2026 UNSEEN"] * 8)


@workload("search-from", "SEARCH FROM + UNSEEN", "search", goal=5000)
async def sender(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, [f"FROM person{n} UNSEEN" for n in (7, 123, 250, 999)] * 3)


@workload("search-header", "SEARCH HEADER Message-ID", "search", goal=5000)
async def header(stack: Stack, meter: Meter) -> None:
    await _search(stack, meter, [f"HEADER Message-ID <{n}." for n in (5, 77, 5000, 9999)] * 3)
