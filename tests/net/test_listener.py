"""Listening sockets: bound, refused with a reason, inherited; and what happens when descriptors run out."""

import asyncio
import errno
import os
import resource
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pillarbox.net import listener
from pillarbox.net.listener import BindError, bind, inherited


def test_everywhere_is_both_families_on_one_port() -> None:
    sockets = bind("*", 0)
    try:
        assert {s.family for s in sockets} <= {socket.AF_INET, socket.AF_INET6}
        assert len({s.getsockname()[1] for s in sockets}) == 1
        assert all(s.proto == socket.IPPROTO_TCP for s in sockets), "else each reply waits 40 ms"
        assert all(s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for s in sockets)
    finally:
        for bound in sockets:
            bound.close()


def test_port_in_use() -> None:
    (first,) = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(BindError, match=rf"127\.0\.0\.1:{port}: another program uses port {port}; `ss -ltnp"):
        bind("127.0.0.1", port)
    first.close()


def test_address_of_another_machine() -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1 is not an address of this machine"):
        bind("192.0.2.1", 0)


def test_name_that_is_none() -> None:
    with pytest.raises(BindError, match="no such host name or address"):
        bind("nowhere.invalid", 0)


def test_port_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    class Refusing(socket.socket):
        bind = refuse  # type: ignore[assignment]

    monkeypatch.setattr(listener.socket, "socket", Refusing)
    with pytest.raises(BindError, match=r"port 25 needs root .* CAP_NET_BIND_SERVICE, or systemd socket activation"):
        bind("127.0.0.1", 25)


def test_inherited_by_name() -> None:
    """In a child, because descriptors 3 and 4 are somebody's here."""
    script = textwrap.dedent("""
        import os, socket
        first, second = socket.socket(), socket.socket()
        for one in (first, second):
            one.bind(("127.0.0.1", 0)); one.listen()
        a, b = os.dup(first.fileno()), os.dup(second.fileno())
        ports = first.getsockname()[1], second.getsockname()[1]
        first.close(); second.close()
        os.dup2(a, 100); os.dup2(b, 101); os.dup2(100, 3); os.dup2(101, 4)
        from pillarbox.net.listener import inherited
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "smtp:imaps"}
        found = inherited(environment)
        assert environment == {}, environment
        assert [(n, s.getsockname()[1]) for n, (s,) in found.items()] == [("smtp", ports[0]), ("imaps", ports[1])], found
        assert not any(s.get_inheritable() for (s,) in found.values())
        assert inherited(environment) == {}
        print("fine")
    """)
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr


def test_meant_for_another_process() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"}
    assert inherited(environment) == {}
    assert environment == {}


async def test_running_out_of_descriptors_is_survived() -> None:
    from tests.net.echo import EchoServer

    loop = asyncio.get_running_loop()
    heard: list[object] = []
    loop.set_exception_handler(lambda _loop, context: heard.append(context))
    async with EchoServer() as server:
        before = await asyncio.open_connection("127.0.0.1", server.port)
        assert await before[0].readline() == b"hello\r\n"
        waiting = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        try:
            before[1].write(b"still\r\n")
            assert await before[0].readline() == b"still\r\n"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with asyncio.timeout(10):  # asyncio looks again after a second
            after = await asyncio.open_connection("127.0.0.1", server.port)
            assert await after[0].readline() == b"hello\r\n"
        for one in waiting:
            one.close()
        before[1].close()
        after[1].close()
