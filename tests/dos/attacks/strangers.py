"""Strangers who connect and give nothing, or give it slowly."""

import asyncio
import socket
from itertools import cycle

from tests.demo import PORTS
from tests.dos.attacker import Target, attack

CLEAR = ("smtp", "submission", "pop3", "imap")


@attack("10,000 idle strangers from 200 addresses")
async def idle_strangers(target: Target) -> None:
    """Connect to all ports, say nothing, come again when sent away."""
    names = cycle(PORTS)
    addresses = [target.stranger() for _ in range(target.many(200))]
    ports = [next(names) for _ in range(7)]

    async def stay(index: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as line:
            line.setblocking(False)
            line.bind((addresses[index % len(addresses)], 0))
            await loop.sock_connect(line, ("127.0.0.1", PORTS[ports[index % 7]] + target.offset))
            target.count["connections"] += 1
            while await loop.sock_recv(line, 4096):
                pass
        target.count["let go"] += 1

    await target.swarm(target.many(10_000), stay, pause=1.0)


@attack("Botnet: idle strangers, each address once")
async def botnet(target: Target) -> None:
    """No block is more crowded than any other."""

    async def stay(index: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as line:
            line.setblocking(False)
            line.bind((target.stranger(), 0))
            await loop.sock_connect(line, ("127.0.0.1", PORTS["imaps" if index % 2 else "smtp"] + target.offset))
            target.count["connections"] += 1
            while await loop.sock_recv(line, 4096):
                pass
        target.count["let go"] += 1

    await target.swarm(target.many(6_000), stay, pause=1.0)


@attack("Slowloris: an octet now and then, on every port")
async def slowloris(target: Target) -> None:
    """A command that never ends, on every port, inside of TLS where TLS comes first."""
    names = list(PORTS)

    async def drip(index: int) -> None:
        async with target.dial(names[index % 7], source=f"127.{10 + index // 350}.0.{1 + index % 40}") as wire:
            while True:
                await wire.pour(b"A")
                target.count["octets"] += 1
                await asyncio.sleep(0.5)

    await target.swarm(target.many(1_400), drip, pause=0.5)


@attack("Half TLS handshakes")
async def half_handshakes(target: Target) -> None:
    """The start of a ClientHello, and no more."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)

    async def begin(index: int) -> None:
        name = ("imaps", "pop3s", "submissions")[index % 3]
        async with target.dial(name, source=f"127.20.{index // 50}.{1 + index % 50}", tls=False) as wire:
            for octet in hello:
                wire.say(bytes([octet]))
                target.count["octets"] += 1
                await asyncio.sleep(0.3)

    await target.swarm(target.many(1_500), begin, pause=0.5)


@attack("TLS handshakes, again and again")
async def handshakes(target: Target) -> None:
    """What costs the server more than the client; then gone at once."""

    async def shake(index: int) -> None:
        async with target.dial("imaps", source=f"127.21.0.{1 + index}"):
            target.count["handshakes"] += 1

    await target.swarm(target.many(20), shake)


@attack("STARTTLS flood: upgrade and leave, or send plaintext behind it")
async def starttls_flood(target: Target) -> None:
    """On 25, 110 and 143."""
    words = {"smtp": b"EHLO x\r\nSTARTTLS\r\n", "pop3": b"STLS\r\n", "imap": b"a STARTTLS\r\n"}

    async def upgrade(index: int) -> None:
        name = list(words)[index % 3]
        async with target.dial(name, source=f"127.22.0.{1 + index % 200}") as wire:
            await wire.line()
            wire.say(words[name] if index % 2 else words[name] + b"NOOP\r\n" * 100)
            await wire.reader.read(65536)
            wire.say(b"\x16\x03\x01" + bytes(1000))
            await wire.reader.read(65536)
            target.count["upgrades"] += 1

    await target.swarm(target.many(40), upgrade)


@attack("Connect and reset at once")
async def resets(target: Target) -> None:
    """RST instead of FIN, before anything was said, as fast as it goes."""
    names = list(PORTS)

    async def hit(index: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as line:
            line.setblocking(False)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            line.bind((f"127.23.0.{1 + index}", 0))
            await loop.sock_connect(line, ("127.0.0.1", PORTS[names[index % 7]] + target.offset))
            target.count["connections"] += 1

    await target.swarm(target.many(20), hit, pause=0.005)


@attack("Commands without end, pipelined, replies never read")
async def pipelined_commands(target: Target) -> None:
    """Valid commands before login, as fast as the server takes them."""
    words = {
        "smtp": b"NOOP\r\nRSET\r\nEHLO x\r\nVRFY x\r\n" * 500,
        "submission": b"NOOP\r\nRSET\r\nEHLO x\r\n" * 500,
        "imap": b"a CAPABILITY\r\nb NOOP\r\nc ID NIL\r\n" * 500,
        "pop3": b"CAPA\r\nNOOP\r\n" * 500,
    }

    async def flood(index: int) -> None:
        name = CLEAR[index % 4]
        async with target.dial(name, source=f"127.24.0.{1 + index % 200}") as wire:
            wire.reader._limit = 1  # type: ignore[attr-defined]  # it stops reading at once
            while True:
                await wire.pour(words[name])
                target.count["octets sent"] += len(words[name])

    await target.swarm(target.many(40, 4), flood)


@attack("Commands one by one for ever, before login")
async def busy_strangers(target: Target) -> None:
    """Never silent, so never timed out: NOOP and its like, on all ports in the clear."""
    words = {"smtp": b"NOOP", "submission": b"NOOP", "pop3": b"CAPA", "imap": b"a NOOP"}

    async def ask(index: int) -> None:
        name = CLEAR[index % 4]
        async with target.dial(name, source=f"127.25.0.{1 + index % 200}") as wire:
            await wire.line()
            while True:
                wire.say(words[name] + b"\r\n")
                await wire.reader.readuntil(b"\r\n")
                target.count["commands"] += 1

    await target.swarm(target.many(40, 4), ask)


@attack("Endless lines")
async def endless_lines(target: Target) -> None:
    """No line end ever."""

    async def write(index: int) -> None:
        async with target.dial(CLEAR[index % 4], source=f"127.26.0.{1 + index % 200}") as wire:
            while True:
                await wire.pour(b"A" * 65536)
                target.count["MiB sent"] += 1 if index % 16 == 0 else 0

    await target.swarm(target.many(16, 4), write)
