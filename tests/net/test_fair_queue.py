"""Fair share of the event loop."""

import asyncio

from pillarbox.net.fair_queue import FairQueue


async def test_one_step_of_each_account_at_a_time() -> None:
    turns = FairQueue(asyncio.get_running_loop())
    log: list[str] = []

    async def work(whose: str, slices: int) -> None:
        for _ in range(slices):
            await turns.take(whose)
            log.append(whose)

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(work("mallory", 20))
        group.create_task(work("alice", 10))
    # Fifty against one, and yet the one is done after so many steps of the fifty as it has slices itself.
    assert log.index("alice") <= 2
    last = len(log) - 1 - log[::-1].index("alice")
    assert log[: last + 1].count("mallory") <= 12
    assert not turns


async def test_in_order_of_arrival() -> None:
    turns = FairQueue(asyncio.get_running_loop())
    log: list[int] = []

    async def work(number: int) -> None:
        await turns.take("mallory")
        log.append(number)
        await turns.take("mallory")
        log.append(number)

    await asyncio.gather(*map(work, range(4)))
    assert log == [0, 1, 2, 3] * 2


async def test_who_had_a_turn_lets_the_others_go_first() -> None:
    turns = FairQueue(asyncio.get_running_loop())
    assert not turns.busy("mallory")
    turns.had("mallory")
    assert turns.busy("mallory")
    await asyncio.sleep(0)
    assert not turns.busy("mallory")


async def test_who_is_cancelled_holds_nobody_up() -> None:
    turns = FairQueue(asyncio.get_running_loop())
    waiting = [asyncio.ensure_future(turns.take("mallory")) for _ in range(5)]
    await asyncio.sleep(0)
    assert turns.busy("mallory")
    assert not turns.busy("alice")
    for task in waiting[:4]:
        task.cancel()
    async with asyncio.timeout(5):
        await waiting[4]
        await asyncio.gather(*waiting, return_exceptions=True)
        while turns:
            await asyncio.sleep(0)
