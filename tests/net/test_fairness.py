"""Who has much to do does not keep the others waiting, and long work ends when nobody waits for it any more."""

import asyncio
import socket
import struct

from tests.net.echo import EchoServer
from tests.net.test_connection import _connect

from pillarbox.wire.outbox import BREATH


async def test_forty_connections_of_one_account_are_one_to_the_others() -> None:
    """While they all have commands to do, somebody else's command waits for one slice, not for forty."""
    async with EchoServer() as server:
        stormy = [await _connect(server) for _ in range(40)]
        for engine in server.engines:
            engine.link.emit("login", account="mallory@example.test")
        reader, writer = await _connect(server)
        for _, other in stormy:
            other.write(b"NOOP\r\n" * 5_000)
        async with asyncio.timeout(20):
            while sum(engine.answered for engine in server.engines[:40]) < 40:
                await asyncio.sleep(0)
            before = sum(engine.answered for engine in server.engines[:40])
            writer.write(b"and I?\r\n")
            assert await reader.readline() == b"and I?\r\n"
        meanwhile = sum(engine.answered for engine in server.engines[:40]) - before
        assert meanwhile < 20 * BREATH, meanwhile  # a round of everybody would be 40 * BREATH, several of them
        for _, other in (*stormy, (reader, writer)):
            other.transport.abort()


async def test_long_commands_at_the_same_moment_are_done_one_by_one() -> None:
    """Forty connections of one account each send one command that takes long at a stretch: others get in between."""
    async with EchoServer() as server:
        stormy = [await _connect(server) for _ in range(40)]
        for engine in server.engines:
            engine.link.emit("login", account="mallory@example.test")
        _reader, writer = await _connect(server)
        done: list[int] = []
        other = server.engines[-1]
        for number, engine in enumerate(server.engines[:-1]):
            engine.on_heavy = lambda number=number: done.append(number)  # type: ignore[misc]
        other.on_heavy = lambda: done.append(-1)
        for _, each in stormy:
            each.write(b"HEAVY\r\n")
        async with asyncio.timeout(20):
            while not done:
                await asyncio.sleep(0)
            writer.write(b"HEAVY\r\n")
            while -1 not in done:
                await asyncio.sleep(0)
        assert done.index(-1) < 25, done
        for _, each in (*stormy, (_reader, writer)):
            each.transport.abort()


async def test_long_work_for_a_peer_that_is_gone_ends() -> None:
    async with EchoServer() as server:
        _reader, writer = await _connect(server)
        writer.write(b"LONG\r\n")
        await server.engines[0].slow.wait()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await server.recorder.wait("disconnected")
        assert server.engines[0].calls == ["disconnected"]


async def test_who_closes_its_half_is_still_answered() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.write(b"PAUSES 50\r\n")
        writer.write_eof()
        assert await reader.read() == b"done\r\n"
        writer.close()


async def test_forty_floods_of_octets_are_read_one_by_one() -> None:
    """Peers that send as much as they can do not keep others waiting for a read of each of them."""
    reads = [await _floods_read_while_one_asks()]
    while min(reads) >= 20 and len(reads) < 3:  # a busy machine may itself bring a question late
        reads.append(await _floods_read_while_one_asks())
    assert min(reads) < 20, reads


async def _floods_read_while_one_asks() -> int:
    async with EchoServer() as server:
        floods = [await _connect(server) for _ in range(40)]
        reader, writer = await _connect(server)
        await asyncio.gather(*(flood.drain() for _, flood in floods))
        for _, flood in floods:
            flood.write(b"SLOW\r\n" + b"NOOP\r\n" * 200_000)  # it waits; so octets only come in
        received: list[int] = []
        for number, engine in enumerate(server.engines[:-1]):
            engine.on_octets = lambda octets, number=number: received.append(number) if octets > 30_000 else None  # type: ignore[misc]
        async with asyncio.timeout(20):
            while len(received) < 3:
                await asyncio.sleep(0)
            before = len(received)
            writer.write(b"and I?\r\n")
            assert await reader.readline() == b"and I?\r\n"
        for _, each in (*floods, (reader, writer)):
            each.transport.abort()
        return len(received) - before
