"""SIGKILL at any instant: what was acknowledged is there exactly once, what was not is there wholly or not at all."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.crash.ledger import Book, Operation, body, key_of
from tests.crash.load import TASKS, owner, read_book

from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.embedded.segments import numbers

ROOT = Path(__file__).parents[2]


class Promises:
    """What the child was promised, over all its lives."""

    def __init__(self) -> None:
        self.books = {task: Book() for task in range(TASKS)}
        self.pending: dict[int, Operation] = {}
        self.modseq = 0
        self.inbox: dict[str, int] = {}

    def read(self, lines: Iterable[bytes]) -> None:
        """Replay one life's ledger."""
        for line in lines:
            match json.loads(line):
                case ["begin", int(task), list(operation)]:
                    self.pending[task] = operation
                case ["done", int(task), result]:
                    operation = self.pending.pop(task)
                    if operation[0] == "flags":
                        self.modseq = max(self.modseq, result)
                    self.books[task].apply(operation, result)

    async def check(self, store: EmbeddedStore) -> None:
        """Compare with what is there; then what is there is the truth."""
        account = await owner(store)
        highest = 0
        for info in await store.mail.mailboxes(account):
            view = await store.mail.open_by_id(account, info.id)
            highest = max(highest, view.highestmodseq)
            assert list(view.uids) == sorted(set(view.uids))
            gone = list(await store.mail.expunged_since(account, info.id, 0))
            assert sorted([*gone, *view.uids]) == list(range(1, view.uidnext)), f"UIDs of {info.name}"
            assert max([0, *view.modseqs]) <= view.highestmodseq
        assert highest >= self.modseq
        inbox = await self._read_inbox(store, account)
        for task, book in self.books.items():
            actual = await read_book(store, account, task)
            self._compare(task, book, actual, inbox)
            actual.accepted = {key for key in inbox if key.startswith(f"T{task}-")}
            self.books[task] = actual
        self.pending.clear()
        self.inbox = inbox
        usage = await store.mail.usage(account)
        views = [await store.mail.open_by_id(account, m.id) for m in await store.mail.mailboxes(account)]
        assert usage == (sum(sum(v.sizes) for v in views), sum(len(v.uids) for v in views))
        found = [p async for p in store.check.problems(repair=False)]
        # Octets whose commit did not happen any more are no damage.
        assert [p for p in found if "unknown to the index" not in p] == []

    def _compare(self, task: int, book: Book, actual: Book, inbox: dict[str, int]) -> None:
        actual.accepted = {key for key in inbox if key.startswith(f"T{task}-")}
        pending = self.pending.get(task)
        allowed = [book]
        if pending is not None and pending[0] == "recreate":  # two operations: delete, create
            name = str(pending[1])
            created = book.after(pending)
            created.boxes[name].uidvalidity = actual.boxes[name].uidvalidity if name in actual.boxes else 0
            deleted = book.after(pending)
            del deleted.boxes[name]
            allowed += [created, deleted]
            old = book.boxes.get(name)
            if actual == created and actual != book and old is not None:
                assert actual.boxes[name].uidvalidity > old.uidvalidity
        elif pending is not None:
            allowed.append(book.after(pending))
        assert any(actual == one for one in allowed), (task, pending, book, actual)

    async def _read_inbox(self, store: EmbeddedStore, account: int) -> dict[str, int]:
        view = await store.mail.open(account, "INBOX")
        found: dict[str, int] = {}
        for uid in view.uids:
            octets = await store.mail.octets(account, view.mailbox, uid)
            assert octets is not None
            key = key_of(octets)
            assert octets == body(key)
            assert key not in found, f"{key} is there twice"
            found[key] = uid
        assert self.inbox.items() <= found.items()
        return found


def live_and_die(directory: Path, seed: int, chance: random.Random) -> list[bytes]:
    """One life of the child, killed at a random instant; returns its ledger, without a line that was cut off."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, str(ROOT / "tests/crash/load.py"), str(directory), str(seed)]
    lines: list[bytes] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 900)):
            lines.append(child.stdout.readline())
            assert lines[-1], "the child ended by itself"
        time.sleep(chance.uniform(0, 0.02))  # anywhere in a commit, not only right after an answer
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    return [line for line in lines if line.endswith(b"\n")]


async def survive(directory: Path, seed: int, kills: int) -> None:
    """So many lives on one store; more, up to five times as many, while compaction has had no time to remove a segment."""
    chance = random.Random(seed)
    promises = Promises()
    files: list[int] = []
    for life in range(kills * 5):
        promises.read(live_and_die(directory, seed * 1000 + life, chance))
        store = await EmbeddedStore.open(directory)
        await promises.check(store)
        await store.close()
        files = numbers(directory / "segments")
        if life + 1 >= kills and len(files) < files[-1]:
            break
    assert sum(len(book.accepted) for book in promises.books.values()) > 0
    assert len(files) < files[-1], "nothing was ever compacted"


async def test_a_kill(tmp_path: Path) -> None:
    await survive(tmp_path / "store", 1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
async def test_many_kills(tmp_path: Path, seed: int) -> None:
    await survive(tmp_path / "store", seed, 10)
