"""The child of the crash tests: works on a store until it is killed, and writes to a pipe what it was promised.

Usage: load.py DIRECTORY SEED. Each line is JSON: ["begin", task, operation] before, ["done", task, result] after the store
answered. Several tasks work at once, each in mailboxes of its own; what is accepted goes to the common INBOX too.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.crash.ledger import Book, Box, Operation, body, choose, key_of

from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import Delivery, NewMessage, PasswordHashes, RecipientState, Relay, StoreMode
from pillarbox.store.embedded import EmbeddedStore, compaction, sweeper, views, writer
from pillarbox.store.spool import Spool

TASKS = 6
ADDRESS = "alice@example.test"


def as_line(*entry: object) -> bytes:
    """One line of the ledger."""
    return json.dumps(entry).encode() + b"\n"


def write(*entry: object) -> None:
    """One line of the ledger, at once."""
    os.write(1, as_line(*entry))


async def owner(store: EmbeddedStore) -> int:
    """The account that everything is for."""
    found = await store.directory.account(ADDRESS)
    if found is None:
        if not await store.directory.domains():
            await store.directory.add_domain("example.test")
        found = await store.directory.add_account(ADDRESS, PasswordHashes("x", ScramKeys(b"s", 1, b"k", b"k")))
    return found.id


async def read_book(store: EmbeddedStore, account: int, task: int) -> Book:
    """What the store says that a task owns; both sides use it after a start."""
    book = Book()
    for info in await store.mail.mailboxes(account):
        if info.name.startswith(f"T{task}-"):
            view = await store.mail.open_by_id(account, info.id)
            box = book.boxes[info.name] = Box(info.uidvalidity, view.uidnext)
            for uid in view.uids:
                octets = await store.mail.octets(account, info.id, uid)
                assert octets is not None
                key = key_of(octets)
                assert octets == body(key), f"{key} is not what was stored"
                box.messages[uid] = (key, view.flags_of(uid) or frozenset())
    book.queued = {e.id for e in await store.queue.entries() if e.id.startswith(f"T{task}-")}
    return book


async def perform(store: EmbeddedStore, account: int, operation: Operation) -> object:
    """Do it; returns what the ledger keeps of the result."""
    kind, name, *rest = operation
    mail = store.mail
    mailbox = -1 if kind == "recreate" else (await mail.open(account, str(name))).mailbox
    match kind, rest:
        case "recreate", []:
            if any(m.name == name for m in await mail.mailboxes(account)):
                await mail.delete(account, str(name))
            return (await mail.create(account, str(name))).uidvalidity
        case "append", [str(key), list(flags)]:
            return list(
                (await mail.append(account, str(name), [NewMessage(Spool.of(body(key)), frozenset(flags))])).uids
            )
        case "accept", [str(key)]:
            relay = Relay(key, ADDRESS, [("x@else.test", {})], account)
            await store.accept(Spool.of(body(key)), [Delivery(account, str(name)), Delivery(account)], relay)
        case "finish", [str(key)]:
            entry = await store.queue.entry(key)
            assert entry is not None, f"{key} was queued and is not any more"
            await store.queue.update(key, [replace(r, state=RecipientState.DELIVERED) for r in entry.recipients])
        case "flags", [list(uids), bool(add), str(flag)]:
            mode = StoreMode.ADD if add else StoreMode.REMOVE
            return (await mail.store_flags(account, mailbox, uids, mode, frozenset({flag}))).modseq
        case "copy", [list(uids), str(target)]:
            return list((await mail.copy(account, mailbox, uids, target)).target)
        case "move", [list(uids), str(target)]:
            return list((await mail.move(account, mailbox, uids, target)).target)
        case "expunge", [list(uids)]:
            return list(await mail.expunge(account, mailbox, uids, deleted_only=False))
    return None


async def work(store: EmbeddedStore, account: int, task: int, chance: random.Random, key: Callable[[], str]) -> None:
    """One task, for ever."""
    book = await read_book(store, account, task)
    names = (f"T{task}-a", f"T{task}-b")
    missing = [name for name in names if name not in book.boxes]
    while True:
        operation: Operation = ["recreate", missing.pop()] if missing else choose(book, names, chance, key())
        write("begin", task, operation)
        result = await perform(store, account, operation)
        write("done", task, result)
        book.apply(operation, result)


def hasten() -> None:
    """Everything that a store does now and then it does all the time: new segments, compaction, packing of states."""
    writer.SEGMENT_SIZE = 300_000
    sweeper._PAUSE = 0.0
    views._SMALL = 20
    compaction._LIVE_SHARE = 0.9


async def main(directory: Path, seed: int) -> None:
    """All tasks."""
    hasten()
    store = await EmbeddedStore.open(directory)
    account = await owner(store)
    write("ready")

    def keys(task: int) -> Callable[[], str]:
        numbers = iter(range(10**9))
        return lambda: f"T{task}-{seed}-{next(numbers)}"

    async with asyncio.TaskGroup() as group:
        for task in range(TASKS):
            group.create_task(work(store, account, task, random.Random(f"{seed} {task}"), keys(task)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
