"""A rest lasts as long as it was meant to, or until somebody ends it."""

import asyncio

from pillarbox.store.embedded.rest import Rest


async def test_a_rest_ends_by_itself() -> None:
    rest = Rest()
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had their turn")
    async with asyncio.timeout(10):
        await rest.take(0)
    assert others


async def test_a_rest_is_ended() -> None:
    rest = Rest()
    rest.end()  # none yet: the next one is not shorter for it
    resting = asyncio.create_task(rest.take(3600))
    await asyncio.sleep(0)
    assert not resting.done()
    rest.end()
    rest.end()
    async with asyncio.timeout(10):
        await resting


async def test_a_rest_that_was_ended_does_not_end_the_next() -> None:
    rest = Rest()
    first = asyncio.create_task(rest.take(0.01))
    await asyncio.sleep(0)
    rest.end()
    await first
    second = asyncio.create_task(rest.take(3600))
    done, _ = await asyncio.wait([second], timeout=0.05)
    assert not done
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    rest.end()  # nobody rests
