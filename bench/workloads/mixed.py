"""Twenty clients' working day in small."""

import asyncio
import random
import time

from bench.client import Imap, tagged
from bench.corpus import corpus
from bench.stack import Stack, account
from bench.workload import Meter, quiet, workload

CLIENTS = 20
COMMANDS = 60

DAY = [
    ("fetch", 30), ("flags", 15), ("body", 15), ("store", 12), ("status", 10), ("list", 4), ("append", 4),
    ("search", 4), ("copy", 3), ("noop", 3),
    ("expunge", 3), ("idle", 3),
]  # fmt: skip
NAMES, WEIGHTS = zip(*DAY, strict=True)

PACE = 1_000
"""Commands a second: well below what either side can do, so that nobody waits in a line that only gets longer."""


async def one(session: Imap, what: str, rng: random.Random) -> None:
    n = rng.randint(1, 40)
    match what:
        case "fetch":
            await session(f"FETCH {n}:{n + 10} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        case "flags":
            await session("UID FETCH 1:* (FLAGS)")
        case "body":
            await session(f"FETCH {n} (BODY[])")
        case "store":
            await session(f"STORE {n} +FLAGS (\\Seen)")
        case "status":
            await session("STATUS Sent (MESSAGES UIDNEXT UNSEEN)")
        case "list":
            await session('LIST "" "*"')
        case "append":
            await session.append("Sent", [corpus(100)[n]])
        case "search":
            await session("UID SEARCH UNSEEN SINCE 1-Sep-2026")
        case "copy":
            await session(f"COPY {n} Archive")
        case "expunge":  # to be filed at the end; as many messages as before
            await session(f"COPY {n} INBOX")
            await session(f"STORE {n} +FLAGS.SILENT (\\Deleted)")
            await session("EXPUNGE")
        case "idle":
            await session.wire.ask(b"i IDLE\r\n", lambda buffer: b"+ " in buffer)
            await session.wire.ask(b"DONE\r\n", tagged(b"i"))
        case _:
            await session("NOOP")


async def prepare(stack: Stack) -> None:
    for n in range(CLIENTS):
        session = await Imap.login(stack, account(61 + n))
        await session.append("INBOX", corpus(100)[:60])
        await session.logout()
    await quiet(stack)  # what the preparation left to do is none of the load


@workload("mixed", "mixed IMAP load, 20 clients, TLS", "command", goal=150)
async def mixed(stack: Stack, meter: Meter) -> None:
    """Each asks again as soon as it is answered: what the server can do, and how long one waits while it does all it can."""

    async def day(n: int) -> None:
        rng = random.Random(n)
        for _ in range(2):
            session = await Imap.login(stack, account(61 + n))
            await session("SELECT INBOX")
            for what in rng.choices(NAMES, WEIGHTS, k=COMMANDS):
                start = time.perf_counter()
                await one(session, what, rng)
                meter.took(what, time.perf_counter() - start)
            await session.logout()

    await prepare(stack)
    meter.begin()
    await asyncio.gather(*(day(n) for n in range(CLIENTS)))
    meter.end(CLIENTS * 2 * (COMMANDS + 3))


@workload("mixed-paced", f"mixed IMAP load, {PACE:,} commands a second on both sides", "command")
async def paced(stack: Stack, meter: Meter) -> None:
    """Each asks at moments that were fixed before, at random: how long one waits at a load that both bear. The time counts from
    the moment when the command was due, so that who is late with one answer is late with the next."""

    async def day(n: int, session: Imap, start: float) -> None:
        rng = random.Random(n)
        due = start
        for what in rng.choices(NAMES, WEIGHTS, k=2 * COMMANDS):
            due += rng.expovariate(PACE / CLIENTS)
            await asyncio.sleep(due - time.perf_counter())
            await one(session, what, rng)
            meter.took(what, time.perf_counter() - due)

    await prepare(stack)
    sessions = [await Imap.login(stack, account(61 + n)) for n in range(CLIENTS)]
    for session in sessions:
        await session("SELECT INBOX")
    meter.begin()
    start = time.perf_counter()
    await asyncio.gather(*(day(n, session, start) for n, session in enumerate(sessions)))
    meter.end(CLIENTS * 2 * COMMANDS)
    for session in sessions:
        await session.logout()
