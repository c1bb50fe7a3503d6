"""Connections over real sockets, with plaintext."""

import asyncio
import contextlib
import socket

import pytest
from tests.net.echo import EchoServer

from pillarbox.net.admission import AdmissionLimits
from pillarbox.net.connections import ConnectionLimits
from pillarbox.net.flow_control import send
from pillarbox.wire.engine import BACKLOG_LIMIT
from pillarbox.wire.outbox import HIGH_WATER


async def _connect(server: EchoServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await reader.readline() == b"hello\r\n"
    return reader, writer


async def test_commands_come_back_and_quit_closes() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.write(b"one\r\n")
        assert await reader.readline() == b"one\r\n"
        writer.write(b"two\r\nthr")
        assert await reader.readline() == b"two\r\n"
        writer.write(b"ee\r\nQUIT\r\n")
        assert await reader.read() == b"three\r\nbye\r\n"
        writer.close()
        await server.recorder.wait("disconnected")
        assert server.engines[0].calls == ["disconnected"]
        assert len(server.connections) == 0
        assert server.connections.admission.total == 0


async def test_octet_by_octet() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in b"one\r\ntwo\r\nQUIT\r\n":
            writer.write(bytes([octet]))
            await asyncio.sleep(0)
        assert await reader.read() == b"one\r\ntwo\r\nbye\r\n"
        writer.close()


async def test_pipelined_commands_are_answered_by_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writes: list[int] = []

        def count(transport: asyncio.Transport, chunks: list[bytes], size: int) -> None:
            writes.append(size)
            send(transport, chunks, size)

        monkeypatch.setattr("pillarbox.net.connection.send", count)
        writer.write(b"NOOP\r\n" * 100)
        assert await reader.readexactly(600) == b"NOOP\r\n" * 100
        assert writes == [600]
        writer.close()


async def test_half_closed_peer_gets_its_answers() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.write(b"one\r\nSLOW\r\ntwo\r\n")
        writer.write_eof()
        await server.engines[0].slow.wait()
        server.engines[0].gate.set()
        assert await reader.read() == b"one\r\nfinally\r\ntwo\r\n"
        writer.close()


async def test_peer_that_leaves_during_a_command_lets_it_end() -> None:
    async with EchoServer() as server:
        _reader, writer = await _connect(server)
        writer.write(b"SLOW\r\n")
        engine = server.engines[0]
        await engine.slow.wait()
        writer.transport.abort()
        assert engine.calls == []
        engine.gate.set()
        await server.recorder.wait("disconnected")
        assert engine.calls == ["disconnected"]


async def test_push_rings_go_out_as_one() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        server.engines[0].push(b"a\r\n")
        server.engines[0].push(b"b\r\n")
        assert await reader.readexactly(6) == b"a\r\nb\r\n"
        writer.close()


async def test_bug_closes_this_connection_only() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        other_reader, other = await _connect(server)
        writer.write(b"BUG\r\n")
        facts = await server.recorder.wait("bug")
        assert isinstance(facts["error"], LookupError)
        with contextlib.suppress(ConnectionError):  # an orderly end is as good as a reset
            assert await reader.read() == b""
        other.write(b"still here\r\n")
        assert await other_reader.readline() == b"still here\r\n"
        writer.close()
        other.close()


async def test_silent_peer_is_told_and_closed() -> None:
    async with EchoServer(timeout=0.1, tick=0.02) as server:
        reader, writer = await _connect(server)
        assert await reader.read() == b"too slow\r\n"
        writer.close()


async def test_line_that_drips_does_not_count_as_heard() -> None:
    async with EchoServer(timeout=0.3, tick=0.02) as server:
        reader, writer = await _connect(server)
        for _ in range(200):
            writer.write(b"x")
            try:
                async with asyncio.timeout(0.02):
                    assert await reader.read(100) == b"too slow\r\n"
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("a slow line kept the connection open")
        writer.close()


async def test_slow_reader_bounds_memory_and_gets_everything() -> None:
    size = 30 * 1024 * 1024
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"BIG %d\r\nNOOP\r\n" % size)
        (connection,) = server.connections._members
        flow = connection._flow  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while not flow.full:
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        held = connection._transport.get_write_buffer_size() + server.engines[0].out.size  # type: ignore[attr-defined]
        assert held < 4 * HIGH_WATER
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        got = 0
        while got < size:
            got += len(await reader.read(min(1 << 20, size - got)))
        assert await reader.readline() == b"\r\n"
        assert await reader.readline() == b"done\r\n"
        assert await reader.readline() == b"NOOP\r\n"
        writer.close()


async def test_peer_that_takes_nothing_is_let_go() -> None:
    async with EchoServer(tick=0.02, limits=ConnectionLimits(write_stall=0.2)) as server:
        _reader, writer = await _connect(server)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"BIG 30000000\r\n")
        await server.recorder.wait("write_stalled")
        await server.recorder.wait("disconnected")
        writer.close()


async def test_backlog_stops_reading_while_a_command_runs() -> None:
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        count = 3_000_000 // 6
        writer.write(b"SLOW\r\n" + b"NOOP\r\n" * count)
        (connection,) = server.connections._members
        async with asyncio.timeout(10):
            while not connection._read_paused:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert server.engines[0].backlog < BACKLOG_LIMIT + 512 * 1024
        server.engines[0].gate.set()
        assert await reader.readline() == b"finally\r\n"
        assert await reader.readexactly(6 * count) == b"NOOP\r\n" * count
        writer.close()


async def test_storm_of_commands_does_not_keep_the_others_waiting() -> None:
    async with EchoServer() as server:
        stormy_reader, stormy = await _connect(server)
        reader, writer = await _connect(server)
        count = 20_000
        stormy.write(b"NOOP\r\n" * count)
        async with asyncio.timeout(10):
            while not server.engines[0].answered:
                await asyncio.sleep(0)
        writer.write(b"and I?\r\n")
        assert await reader.readline() == b"and I?\r\n"
        assert server.engines[0].answered < count / 2
        assert await stormy_reader.readexactly(6 * count) == b"NOOP\r\n" * count
        stormy.close()
        writer.close()


async def test_shutdown_lets_a_command_end_and_says_goodbye() -> None:
    async with EchoServer() as server:
        idle_reader, idle = await _connect(server)
        busy_reader, busy = await _connect(server)
        busy.write(b"SLOW\r\n")
        await server.engines[1].slow.wait()
        server.listener.stop()
        ending = asyncio.create_task(server.connections.shut_down(10))
        assert await idle_reader.read() == b"going down\r\n"
        assert not ending.done()
        server.engines[1].gate.set()
        assert await busy_reader.read() == b"finally\r\ngoing down\r\n"
        idle.close()
        busy.close()
        assert await ending == 0


async def test_shutdown_cuts_off_what_does_not_end() -> None:
    async with EchoServer() as server:
        _reader, writer = await _connect(server)
        writer.write(b"SLOW\r\n")
        await server.engines[0].slow.wait()
        assert await server.connections.shut_down(0.05) == 1
        assert server.engines[0].calls == ["disconnected"]
        writer.close()


async def test_limits_per_block() -> None:
    async with EchoServer(admission=AdmissionLimits(per_block=3, before_login_per_block=2)) as server:
        first = await _connect(server)
        second = await _connect(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b"full\r\n"
        writer.close()
        server.engines[0].link.emit("login", account="alice@example.test")
        third = await _connect(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b"full\r\n"
        for _, open_writer in (first, second, third, (reader, writer)):
            open_writer.close()


async def test_last_words_survive_unread_octets() -> None:
    """What the peer still sends must not turn into a reset that destroys the reply."""
    async with EchoServer() as server:
        reader, writer = await _connect(server)
        writer.write(b"QUIT\r\n" + b"NOOP\r\n" * 200_000)
        assert await reader.read() == b"bye\r\n"
        writer.close()


async def test_who_stays_after_our_last_words_is_let_go() -> None:
    async with EchoServer(tick=0.02, limits=ConnectionLimits(linger=0.2)) as server:
        reader, writer = await _connect(server)
        writer.write(b"QUIT\r\n" + b"NOOP\r\n" * 2000)
        assert await reader.read() == b"bye\r\n"
        await server.recorder.wait("disconnected")  # although the peer has not closed
        writer.close()


async def test_two_thousand_idle_connections() -> None:
    limits = AdmissionLimits(total=5000, per_block=5000, before_login=5000, before_login_per_block=5000)
    async with EchoServer(admission=limits) as server:
        peers = [await _connect(server) for _ in range(2000)]
        assert len(server.connections) == 2000
        assert not [t for t in asyncio.all_tasks() if "Connection._run" in repr(t)], "an idle connection has no task"
        reader, writer = peers[1234]
        writer.write(b"hi\r\n")
        assert await reader.readline() == b"hi\r\n"
        for _, open_writer in peers:
            open_writer.close()
        async with asyncio.timeout(10):
            while len(server.connections):
                await asyncio.sleep(0)


async def test_stranger_makes_room_and_is_told() -> None:
    async with EchoServer(admission=AdmissionLimits(before_login=2)) as server:
        reader, writer = await _connect(server)
        second_reader, second = await _connect(server)
        server.engines[0].link.emit("login", account="alice@example.test")
        third_reader, third = await _connect(server)
        fourth_reader, fourth = await _connect(server)
        assert await second_reader.read() == b"full\r\n"  # who logged in stays, who came after stays
        await server.recorder.wait("made_room")
        for stays_reader, stays in ((reader, writer), (third_reader, third), (fourth_reader, fourth)):
            stays.write(b"still here\r\n")
            assert await stays_reader.readline() == b"still here\r\n"
            stays.close()
        second.close()


async def test_busy_stranger_has_to_log_in_some_time() -> None:
    """Commands without end are no login: the place is needed."""
    async with EchoServer(tick=0.02, limits=ConnectionLimits(login=0.3)) as server:
        reader, writer = await _connect(server)
        member_reader, member = await _connect(server)
        server.engines[1].link.emit("login", account="alice@example.test")
        lines = [b""]
        async with asyncio.timeout(10):
            while lines[-1] != b"too slow\r\n":
                writer.write(b"NOOP\r\n")
                lines.append(await reader.readline())
        assert b"NOOP\r\n" in lines
        member.write(b"still here\r\n")
        assert await member_reader.readline() == b"still here\r\n"
        writer.close()
        member.close()


async def test_flood_behind_our_last_words_is_cut_off() -> None:
    async with EchoServer() as server:
        _reader, writer = await _connect(server)
        writer.write(b"QUIT\r\n")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while "disconnected" not in server.recorder.names():
                    writer.write(b"NOOP\r\n" * 10_000)
                    await writer.drain()
                    await asyncio.sleep(0)
        await server.recorder.wait("disconnected")
        writer.close()
