"""The way out of a connection."""

import asyncio

import pytest

from pillarbox.net.flow_control import FlowControl


async def test_room_waits_until_there_is_some() -> None:
    flow = FlowControl()
    await flow.room()
    flow.pause()
    waiting = asyncio.create_task(flow.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    flow.resume()
    await waiting


async def test_who_waits_is_told_that_the_peer_is_gone() -> None:
    flow = FlowControl()
    flow.pause()
    waiting = asyncio.create_task(flow.room())
    await asyncio.sleep(0)
    flow.lose()
    with pytest.raises(ConnectionResetError):
        await waiting
    with pytest.raises(ConnectionResetError):
        await flow.room()


def test_stalled_means_that_nothing_moved() -> None:
    flow = FlowControl()
    assert not flow.stalled(0.0, 100, 10.0)
    assert not flow.stalled(9.0, 100, 10.0)
    assert not flow.stalled(10.0, 99, 10.0)  # it took something
    assert not flow.stalled(19.0, 99, 10.0)
    assert flow.stalled(20.0, 99, 10.0)
    assert not flow.stalled(21.0, 0, 10.0)
