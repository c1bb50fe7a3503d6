"""Running coroutines at once: the same as awaiting them, whether they wait or not."""

import asyncio

import pytest

from pillarbox.net.eager import run_eagerly


async def test_what_does_not_wait_is_done_at_once() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert run_eagerly(asyncio.get_running_loop(), work()) is None
    assert done == [1]


async def test_what_waits_goes_on_as_a_task() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    got: list[object] = []

    async def work() -> None:
        got.append(await first)
        await asyncio.sleep(0)
        try:
            await second
        except LookupError as error:
            got.append(str(error))
        async with asyncio.timeout(10):  # there is a task now
            await asyncio.sleep(0)
        got.append("end")

    task = run_eagerly(loop, work())
    assert task is not None
    first.set_result("one")
    await asyncio.sleep(0)
    second.set_exception(LookupError("two"))
    await task
    assert got == ["one", "two", "end"]


async def test_it_can_be_cancelled_while_it_waits() -> None:
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async def work() -> None:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = run_eagerly(loop, work())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_a_thread_hop_is_a_wait_like_any_other() -> None:
    got: list[int] = []

    async def work() -> None:
        got.append(await asyncio.to_thread(lambda: 7))

    task = run_eagerly(asyncio.get_running_loop(), work())
    assert task is not None
    await task
    assert got == [7]
