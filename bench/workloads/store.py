"""IMAP that changes things: APPEND, login and select, STORE."""

import asyncio
import time

from bench.client import Imap
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, in_parallel, workload
from bench.workloads.listing import BIG, filled

SESSIONS = 10
MESSAGES = 1000


async def _append(stack: Stack, meter: Meter, addresses: list[str]) -> None:
    mail = corpus(MESSAGES)
    sessions = [await Imap.login(stack, address) for address in addresses]

    async def work(n: int) -> None:
        for i in range(n, MESSAGES, SESSIONS):
            start = time.perf_counter()
            await sessions[n].append("Archive", [mail[i]])
            meter.latencies.append(time.perf_counter() - start)

    meter.begin()
    await asyncio.gather(*(work(n) for n in range(SESSIONS)))
    meter.end(MESSAGES)
    for session in sessions:
        await session.logout()


@workload("append-many", "IMAP APPEND, 10 connections, 10 mailboxes", "message", goal=180)
async def append_many(stack: Stack, meter: Meter) -> None:
    await _append(stack, meter, [account(20 + n) for n in range(SESSIONS)])


@workload("append-one", "IMAP APPEND, 10 connections, 1 mailbox", "message", goal=180)
async def append_one(stack: Stack, meter: Meter) -> None:
    await _append(stack, meter, [account(30)] * SESSIONS)


@workload("login", "IMAP login + select, TLS (full handshake)", "login", goal=800)
async def login(stack: Stack, meter: Meter) -> None:
    count = 1000

    async def once(i: int) -> None:
        start = time.perf_counter()
        session = await Imap.login(stack, account(i % 20))
        await session("SELECT INBOX")
        await session.logout()
        meter.latencies.append(time.perf_counter() - start)

    for n in range(20):  # the first password check of an account is slow on purpose, and cached afterwards
        await once(n)
    meter.latencies.clear()
    meter.begin()
    await in_parallel(10, (lambda i=i: once(i) for i in range(count)))  # type: ignore[misc]
    meter.end(count)


@workload("store-one", "STORE of one flag, 10 connections", "store", goal=90)
async def store_one(stack: Stack, meter: Meter) -> None:
    await filled(stack)
    sessions = [await Imap.login(stack, BIG) for _ in range(SESSIONS)]
    for session in sessions:
        await session("SELECT INBOX")

    async def work(n: int) -> None:
        for i in range(200):
            start = time.perf_counter()
            sign = "+" if i % 2 else "-"
            await sessions[n](f"UID STORE {1 + n * 200 + i} {sign}FLAGS.SILENT (\\Flagged)")
            meter.latencies.append(time.perf_counter() - start)

    meter.begin()
    await asyncio.gather(*(work(n) for n in range(SESSIONS)))
    meter.end(200 * SESSIONS)
    for session in sessions:
        await session.logout()


async def _store_all(stack: Stack, meter: Meter, item: str) -> None:
    count = await filled(stack)
    session = await Imap.login(stack, BIG)
    await session("SELECT INBOX")
    meter.begin()
    for _ in range(3):
        await session(f"STORE 1:* +{item} (\\Flagged)")
        await session(f"STORE 1:* -{item} (\\Flagged)")
    meter.end(6 * count)
    await session.logout()


@workload("store-all", "STORE 1:* +FLAGS on 10,000, answered", "message", goal=0.7)
async def store_all(stack: Stack, meter: Meter) -> None:
    await _store_all(stack, meter, "FLAGS")


@workload("store-all-silent", "STORE 1:* +FLAGS.SILENT on 10,000", "message", goal=0.3)
async def store_all_silent(stack: Stack, meter: Meter) -> None:
    await _store_all(stack, meter, "FLAGS.SILENT")
