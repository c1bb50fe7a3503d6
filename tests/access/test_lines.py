"""Lines: in order of arrival, so many at a time, and nothing is left of who has gone."""

import asyncio
from contextlib import suppress

import pytest

from pillarbox.access.lines import Lines, LineTooLong


async def test_one_at_a_time_in_order_of_arrival() -> None:
    lines, said = Lines(1, 3), list[str]()

    async def stand(name: str) -> None:
        async with lines.turn("key"):
            said.append(f"{name} in")
            await asyncio.sleep(0)
            said.append(f"{name} out")

    await asyncio.gather(*map(stand, "abc"))
    assert said == ["a in", "a out", "b in", "b out", "c in", "c out"]
    assert len(lines) == 0


async def test_who_comes_when_the_line_is_long_is_sent_away() -> None:
    lines = Lines(1, 1)
    async with lines.turn("key"):
        with pytest.raises(LineTooLong):
            async with lines.turn("key"):
                pass
        async with lines.turn("another"):
            assert len(lines) == 2
    assert len(lines) == 0
    with pytest.raises(LineTooLong):
        async with Lines(1, 0).turn("key"):
            pass


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    lines = Lines(1, 2)

    async def wait() -> None:
        async with lines.turn("key"):
            pass

    async with lines.turn("key"):
        impatient = asyncio.create_task(wait())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        patient = asyncio.create_task(wait())  # there is room again
        await asyncio.sleep(0)
    await patient
    assert impatient.cancelled()
    assert len(lines) == 0


async def test_whoever_fails_leaves_the_line() -> None:
    lines = Lines(1, 1)
    with suppress(ZeroDivisionError):
        async with lines.turn("key"):
            raise ZeroDivisionError
    assert len(lines) == 0
    async with lines.turn("key"):
        pass
