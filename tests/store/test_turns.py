"""Accounts take turns, whatever one of them does."""

import asyncio
import random

import pytest

from pillarbox.store.turns import Turns


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Slices of accounts, in the order in which they began; each ends when the test says so."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(at_once)
        self.begun: list[int] = []
        self.ends: dict[int, list[asyncio.Event]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, account: int) -> asyncio.Task[None]:
        task = asyncio.create_task(self._slice(account))
        self.tasks.append(task)
        return task

    async def _slice(self, account: int) -> None:
        async with self.turns.of(account):
            self.begun.append(account)
            end = asyncio.Event()
            self.ends.setdefault(account, []).append(end)
            await end.wait()

    async def end(self, account: int) -> None:
        self.ends[account].pop(0).set()
        await settle()


async def test_accounts_take_turns_however_much_one_wants() -> None:
    work = Work(1)
    for account in (1, 1, 1, 1, 2, 3, 2):
        work.start(account)
    await settle()
    while len(work.begun) < 7:
        await work.end(work.begun[-1])
    assert work.begun == [1, 1, 2, 3, 1, 2, 1]
    await work.end(work.begun[-1])
    assert all(task.done() for task in work.tasks)


async def test_one_account_has_one_slice_at_a_time() -> None:
    work = Work(2)
    for account in (1, 1, 1, 2):
        work.start(account)
    await settle()
    assert work.begun == [1, 2]
    await work.end(2)
    assert work.begun == [1, 2]
    assert work.turns.waiting == 2
    await work.end(1)
    assert work.begun == [1, 2, 1]
    for _ in range(2):
        await work.end(1)


async def test_who_has_just_had_a_turn_is_behind_who_waits() -> None:
    turns = Turns(1)
    order = []

    async def greedy() -> None:
        for _ in range(3):
            async with turns.of(1):
                order.append(1)
                await asyncio.sleep(0)

    async def modest() -> None:
        async with turns.of(2):
            order.append(2)

    await asyncio.gather(greedy(), modest())
    assert order == [1, 2, 1, 1]


@pytest.mark.parametrize("granted", [False, True])
async def test_a_caller_who_goes_leaves_the_turn_to_others(granted: bool) -> None:
    work = Work(1)
    work.start(1)
    gone, last = work.start(2), work.start(3)
    await settle()
    if granted:
        work.ends[1][0].set()
        while work.turns.waiting > 1:
            await asyncio.sleep(0)
    gone.cancel()
    await settle()
    assert work.begun == ([1, 3] if granted else [1])
    if not granted:
        await work.end(1)
    assert work.begun == [1, 3]
    await work.end(3)
    assert last.done()


@pytest.mark.parametrize("seed", range(5))
async def test_at_random_nobody_is_forgotten(seed: int) -> None:
    source = random.Random(seed)
    turns = Turns(2)
    running: list[int] = []
    done = 0

    async def work(account: int) -> None:
        nonlocal done
        async with turns.of(account):
            assert account not in running
            running.append(account)
            assert len(running) <= 2
            try:
                for _ in range(source.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                running.remove(account)
            done += 1

    tasks = [asyncio.create_task(work(source.randrange(5))) for _ in range(100)]
    for _ in range(60):
        await asyncio.sleep(0)
        if source.random() < 0.5:
            source.choice(tasks).cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert done == sum(result is None for result in results)
    assert not running
    assert turns.waiting == 0
    async with turns.of(1), turns.of(2):
        pass
