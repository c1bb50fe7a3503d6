"""Who comes to hand over messages has time for each, and longer by what it has sent; a drip that never stops ends."""

import asyncio

import pytest
from tests.net.echo import EchoServer

from pillarbox.net.connections import ConnectionLimits

LIMITS = ConnectionLimits(message=0.5, slowest=1000.0)
PAUSE = 0.05


async def drip(server: EchoServer, octets: bytes, seconds: float) -> bytes:
    """Send these again and again, a line each time, for so long; what was answered at the end, b"" while it goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await reader.readline() == b"hello\r\n"
    clock = asyncio.get_running_loop().time
    ends = clock() + seconds
    try:
        while clock() < ends:
            writer.write(octets + b"\r\n")
            while (line := await reader.readline()) == octets + b"\r\n":
                await asyncio.sleep(PAUSE)
                break
            else:
                return line
        return b""
    finally:
        writer.close()


async def test_a_drip_ends() -> None:
    async with EchoServer(login=False, messages=True, limits=LIMITS, tick=0.05) as server:
        began = asyncio.get_running_loop().time()
        assert await drip(server, b"x", 10) == b"too slow\r\n"
        assert asyncio.get_running_loop().time() - began >= LIMITS.message - 0.1
        facts = await server.recorder.wait("too_slow")
        assert 0 < facts["octets"] < 1000


async def test_whoever_sends_enough_may_go_on() -> None:
    async with EchoServer(login=False, messages=True, limits=LIMITS, tick=0.05) as server:
        assert await drip(server, b"x" * 900, 3 * LIMITS.message) == b""
        assert "too_slow" not in server.recorder.names()


async def test_each_message_gives_new_time() -> None:
    async with EchoServer(login=False, messages=True, limits=LIMITS, tick=0.05) as server:
        task = asyncio.create_task(drip(server, b"x", 3 * LIMITS.message))
        while not task.done():
            await asyncio.sleep(LIMITS.message / 4)
            for engine in server.engines:
                if not task.done():
                    engine.link.emit("message_accepted")
        assert task.result() == b""


async def test_silence_ends_as_ever() -> None:
    async with EchoServer(login=False, messages=True, limits=LIMITS, tick=0.05, timeout=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b"hello\r\ntoo slow\r\n"
        assert "too_slow" not in server.recorder.names()
        writer.close()


@pytest.mark.parametrize("messages", [True, False])
async def test_after_a_login(messages: bool) -> None:
    """Before it there is the time to log in; where no messages are handed over nobody is in a hurry afterwards."""
    async with EchoServer(login=True, messages=messages, limits=LIMITS, tick=0.05) as server:
        task = asyncio.create_task(drip(server, b"x", 4 * LIMITS.message))
        await asyncio.sleep(1.5 * LIMITS.message)
        assert not task.done()
        server.engines[0].link.emit("login", account="alice@example.test")
        assert await task == (b"too slow\r\n" if messages else b"")
