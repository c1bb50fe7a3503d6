"""Messages in a mailbox: what a person waits for must not grow with it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.client import Imap, Smtp
from bench.corpus import small
from bench.growth.curve import Promise, Table
from bench.idlers import open_idle
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from bench.workload import quiet
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

OWNER = account(0)
BATCH = 500
TIMES = 30


def _text(number: int, count: int) -> bytes:
    """Message `number`; the one in the middle has a word that no other has."""
    return small(number) + (b"xylophone\r\n" if number == count // 2 else b"")


def filling(count: int) -> Callable[[EmbeddedStore], Awaitable[None]]:
    """Put so many small messages into the owner's INBOX through the store."""

    async def fill(store: EmbeddedStore) -> None:
        owner = await store.directory.account(OWNER)
        assert owner is not None
        for start in range(0, count, BATCH):
            batch = range(start, min(start + BATCH, count))
            flags = [frozenset({"\\Seen"}) if n % 10 else frozenset[str]() for n in batch]
            messages = [NewMessage(Spool.of(_text(n, count)), flag) for n, flag in zip(batch, flags, strict=True)]
            await store.mail.append(owner.id, "INBOX", messages)
        await store.indexer.catch_up()  # while nobody else wants anything, which takes a quarter of the time

    return fill


async def run(table: Table, folder: Path, sizes: list[int]) -> None:
    """One fresh server for each size."""
    for count in sizes:
        stack = Pillarbox(folder / f"mailbox{count}", 1, prepare=filling(count))
        await asyncio.to_thread(stack.start)
        try:
            await _measure(table, stack, count)
        finally:
            await asyncio.to_thread(stack.stop)


async def _measure(table: Table, stack: Pillarbox, count: int) -> None:
    table.put(count, "start until ports answer", stack.start_seconds, "s", Promise.FLAT, floor=1.5)
    await quiet(stack)
    await _opening(table, stack, count)
    session = await Imap.login(stack, OWNER)
    await session("SELECT INBOX")
    await _changes(table, stack, count, session)
    await _searches(table, stack, count, session)

    async def flags(_n: int) -> None:
        await session("UID FETCH 1:* (FLAGS)")

    await table.time(count, "FETCH 1:* (FLAGS)", stack, flags, 3, Promise.LINEAR)
    await session.logout()
    table.put(count, "memory", stack.pss() / 2**20, "MiB PSS", Promise.LINEAR)


async def _opening(table: Table, stack: Pillarbox, count: int) -> None:
    session = await Imap.login(stack, OWNER)
    before = stack.cpu()
    await session("SELECT INBOX")
    table.put(count, "first SELECT after the start", (stack.cpu() - before) * 1e3, "ms CPU", Promise.LINEAR, floor=50)

    async def select(_n: int) -> None:
        await session("SELECT INBOX")

    async def status(_n: int) -> None:
        await session("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)")

    async def newest(_n: int) -> None:
        await session(f"FETCH {max(1, count - 49)}:* (UID FLAGS ENVELOPE BODYSTRUCTURE)")

    await table.time(count, "SELECT", stack, select, TIMES, Promise.FLAT)
    await table.time(count, "listing of the newest 50", stack, newest, TIMES, Promise.FLAT)
    await session("UNSELECT")
    await table.time(count, "STATUS", stack, status, TIMES, Promise.FLAT)
    await session.logout()


async def _changes(table: Table, stack: Pillarbox, count: int, session: Imap) -> None:
    other = await open_idle(stack, OWNER)

    async def store(n: int) -> None:
        heard = other.wire.ask(b"", lambda buffer: b" FETCH (" in buffer)
        await session(f"STORE {count // 2 + n // 2} {'+-'[n % 2]}FLAGS (\\Flagged)")
        await heard

    sender = await Smtp.connect(stack)

    async def push(n: int) -> None:
        heard = other.wire.ask(b"", lambda buffer: b" EXISTS\r\n" in buffer)
        await sender.send(OWNER, small(count + n))
        await heard

    async def expunge(n: int) -> None:
        heard = other.wire.ask(b"", lambda buffer: b" EXPUNGE\r\n" in buffer or b"VANISHED" in buffer)
        await session(f"UID STORE {count // 3 + n} +FLAGS.SILENT (\\Deleted)")
        await session(f"UID EXPUNGE {count // 3 + n}")
        await heard

    await table.time(count, "a flag, until the other device knows", stack, store, TIMES, Promise.FLAT)
    await table.time(count, "new mail, until a device knows", stack, push, TIMES, Promise.FLAT)
    await session("NOOP")
    await table.time(count, "an expunge, until the other device knows", stack, expunge, TIMES, Promise.FLAT)
    await sender.quit()
    other.wire.close()


async def _searches(table: Table, stack: Pillarbox, count: int, session: Imap) -> None:
    # One message matches, whatever the size: what is measured is the search, not its answer. The index goes by trigrams.
    # Those of "needle..." are in every message, so that their whole lists are read. Of "xylophone" three are in every message
    # ("phone" is in the filler), four in one only: the lists of the three are read up to that message.
    for name, query in (
        ("SEARCH BODY, a rare word", "BODY xylophone"),
        ("SEARCH BODY, a word like all others", f"BODY needle{count // 2}x"),
        ("SEARCH SUBJECT, one match", f"SUBJECT subject{count // 2}x"),
        ("SEARCH FROM, no match", "FROM nobody-of-this-name"),
        ("SEARCH HEADER Message-ID", f"HEADER Message-ID <{count // 2}.small@example.org>"),
        ("SEARCH UNSEEN of the last 100", f"UID {count - 100}:{count} UNSEEN"),
        ("SEARCH SINCE + UNFLAGGED, all", "SINCE 1-Jan-2020 UNFLAGGED"),
    ):

        async def search(_n: int, query: str = query) -> None:
            await session(f"UID SEARCH {query}")

        promise = Promise.LINEAR if name.endswith((", all", "others")) else Promise.FLAT
        await table.time(count, name, stack, search, 10, promise, floor=2000.0)
