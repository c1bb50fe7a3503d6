"""The metrics page over HTTP: one request, cut anywhere; whatever else comes gets an error and the end."""

import random

import pytest

from pillarbox.observe.scrape import MAX_REQUEST, MetricsEngine
from pillarbox.wire.engine import Link, Want

PAGE = "a 1\nb 2\n"
HEADER = b"Host: localhost:9925\r\nUser-Agent: Prometheus/2.53\r\nAccept: application/openmetrics-text;q=0.5\r\n\r\n"


async def page() -> str:
    return PAGE


async def ask(*pieces: bytes) -> tuple[bytes, Want]:
    """What is answered to octets that come in these pieces."""
    engine = MetricsEngine(Link(), page)
    engine.connected()
    for piece in pieces:
        engine.receive(piece)
        await engine.process()
    return b"".join(engine.out.take()), engine.want


async def three_ways(octets: bytes) -> tuple[bytes, Want]:
    whole = await ask(octets)
    assert await ask(*(octets[i : i + 1] for i in range(len(octets)))) == whole
    chance = random.Random(len(octets))
    cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(5))
    assert await ask(*(octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True))) == whole
    return whole


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\n", b"200", PAGE),
        (b"GET /metrics?name[]=x HTTP/1.0\r\n", b"200", PAGE),
        (b"HEAD /metrics HTTP/1.1\r\n", b"200", ""),
        (b"GET / HTTP/1.1\r\n", b"404", None),
        (b"GET /metrics/../etc HTTP/1.1\r\n", b"404", None),
        (b"GET http://other/metrics HTTP/1.1\r\n", b"404", None),
        (b"POST /metrics HTTP/1.1\r\n", b"405", None),
        (b"GET /metrics\r\n", b"400", None),
        (b"GET  /metrics HTTP/1.1\r\n", b"400", None),
        (b"GET /metrics HTTP/2.0\r\n", b"400", None),
        (b"EHLO client.example\r\n", b"400", None),
        (b"\x16\x03\x01\x02\x00\r\n", b"400", None),
    ],
)
async def test_requests(request_line: bytes, status: bytes, body: str | None) -> None:
    answer, want = await three_ways(request_line + HEADER)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close" in head
    assert want is Want.CLOSE
    if body is not None:
        assert rest.decode() == body
        assert b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
        assert f"\r\nContent-Length: {len(PAGE)}\r\n".encode() in head
    assert b"client.example" not in answer


async def test_a_header_without_end() -> None:
    octets = b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_REQUEST // 6)
    answer, want = await ask(octets[:100], octets[100:])
    assert answer.startswith(b"HTTP/1.1 431")
    assert want is Want.CLOSE


async def test_what_follows_is_not_answered() -> None:
    request = b"GET /metrics HTTP/1.1\r\n" + HEADER
    answer, _ = await ask(request * 3)
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_nonsense() -> None:
    chance = random.Random(7)
    for _ in range(500):
        octets = bytes(chance.choice(b"GET /metrics HTTP/1.1\r\n\r\n\0\xff:") for _ in range(chance.randrange(200)))
        answer, want = await ask(octets)
        assert answer.startswith(b"HTTP/1.1 ") == (want is Want.CLOSE)


async def test_silence_and_the_end() -> None:
    engine = MetricsEngine(Link(), page)
    engine.timed_out()
    assert engine.want is Want.CLOSE
    engine = MetricsEngine(Link(), page)
    engine.receive(b"GET")
    assert engine.backlog == 3
    engine.shutting_down()
    engine.disconnected()
    assert engine.backlog == 0
