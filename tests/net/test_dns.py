"""DNS questions against a real server on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from tests.net.dns_lies import LIES, huge
from tests.net.dns_server import TTL, DnsServer

from pillarbox.mailauth.dns import Answer, DnsUnavailable, Existence, Mx, Tlsa
from pillarbox.net.dns import DnsPolicy, DnsResolver

ZONE = {
    ("them.test", "MX"): ["20 b.them.test.", "10 A.Them.test."],
    ("null.test", "MX"): ["0 ."],
    ("a.them.test", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.them.test", "AAAA"): ["2001:DB8:0::1"],
    ("www.them.test", "CNAME"): ["a.them.test."],
    ("them.test", "TXT"): ['"v=spf1 " "-all"', '"other"'],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["a.them.test."],
    ("_25._tcp.a.them.test", "TLSA"): ["3 1 1 " + "ab" * 32],
    ("big.test", "TXT"): [f'"{n:03d}{"x" * 200}"' for n in range(30)],
    ("servfail.test", "A"): ["192.0.2.9"],
    ("silent.test", "A"): ["192.0.2.9"],
}


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as running:
        running.silent = {"silent.test"}
        running.broken = {"servfail.test"}
        yield running


def resolver(server: DnsServer, timeout: float = 5.0, *, trust: bool | None = None) -> DnsResolver:
    return DnsResolver(DnsPolicy(((server.host, server.port),), timeout, trust))


async def test_records(server: DnsServer) -> None:
    ask = resolver(server)
    mx = await ask.mx("them.test")
    assert mx.existence is Existence.FOUND
    assert sorted(mx.records) == [Mx(10, "a.them.test"), Mx(20, "b.them.test")]
    assert mx.ttl == TTL
    assert (await ask.mx("null.test")).records == (Mx(0, ""),)
    assert set((await ask.a("A.them.TEST")).records) == {"192.0.2.1", "192.0.2.2"}
    assert (await ask.aaaa("a.them.test")).records == ("2001:db8::1",)
    assert set((await ask.a("www.them.test")).records) == {"192.0.2.1", "192.0.2.2"}
    assert set((await ask.txt("them.test")).records) == {b"v=spf1 -all", b"other"}
    assert (await ask.ptr("192.0.2.1")).records == ("a.them.test",)
    assert (await ask.tlsa("_25._tcp.a.them.test")).records == (Tlsa(3, 1, 1, b"\xab" * 32),)


async def test_absence_has_two_forms_and_silence_is_neither(server: DnsServer) -> None:
    ask = resolver(server, timeout=0.5)
    assert await ask.a("them.test") == Answer(Existence.NO_DATA)
    assert await ask.mx("no-such-name.example") == Answer(Existence.NO_NAME)
    assert await ask.mx("x" * 64 + ".test") == Answer(Existence.NO_NAME)
    assert await ask.mx("a..test") == Answer(Existence.NO_NAME)
    assert await ask.ptr("nonsense") == Answer(Existence.NO_NAME)
    for name in ("servfail.test", "silent.test"):
        with pytest.raises(DnsUnavailable):
            await ask.a(name)


async def test_nobody_listens() -> None:
    ask = DnsResolver(DnsPolicy((("127.0.0.1", 1),), 0.5))
    with pytest.raises(DnsUnavailable):
        await ask.mx("them.test")


async def test_long_answers_come_by_tcp(server: DnsServer) -> None:
    assert len((await resolver(server).txt("big.test")).records) == 30
    assert ("big.test", "TXT", "tcp") in server.queries


async def test_answers_are_kept_absence_too(server: DnsServer) -> None:
    ask = resolver(server)
    for _ in range(3):
        await ask.mx("them.test")
        await ask.a("them.test")
        await ask.mx("no-such-name.example")
    assert len(server.queries) == 3


async def test_answers_are_not_kept_beyond_their_time(server: DnsServer) -> None:
    server.ttl = 0
    ask = resolver(server)
    await ask.mx("them.test")
    await ask.mx("them.test")
    assert len(server.queries) == 2


async def test_many_ask_once(server: DnsServer) -> None:
    ask = resolver(server)
    answers = await asyncio.gather(*(ask.mx("them.test") for _ in range(50)))
    assert len(server.queries) == 1
    assert len(set(answers)) == 1


async def test_one_who_leaves_does_not_take_the_answer_from_the_others(server: DnsServer) -> None:
    ask = resolver(server)
    first = asyncio.create_task(ask.mx("them.test"))
    second = asyncio.create_task(ask.mx("them.test"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).existence is Existence.FOUND
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize(("trust", "expected"), [(None, True), (True, True), (False, False)])
async def test_the_authentic_bit(server: DnsServer, trust: bool | None, expected: bool) -> None:
    ask = resolver(server, trust=trust)
    assert not (await ask.mx("them.test")).authentic
    server.authentic = True
    assert (await ask.a("a.them.test")).authentic is expected
    assert (await ask.a("nothing.example")).authentic is expected
    assert (await ask.a("them.test")).authentic is expected


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_is_no_answer(server: DnsServer, name: str) -> None:
    """Neither believed nor kept; the honest answer counts as soon as it comes."""
    server.zone["lied.test", "MX"] = ["10 mx.them.test."]
    server.lies["lied.test"] = LIES[name]
    resolver = DnsResolver(DnsPolicy(((server.host, server.port),), timeout=1.0))
    try:
        answer = await resolver.mx("lied.test")
    except DnsUnavailable:
        pass
    else:
        assert answer.records == ()
    server.lies.clear()
    fresh = DnsResolver(DnsPolicy(((server.host, server.port),), timeout=5.0))
    for each in (resolver, fresh):
        assert [mx.host for mx in (await each.mx("lied.test")).records] == ["mx.them.test"]


async def test_a_very_long_answer(server: DnsServer) -> None:
    server.zone["long.test", "MX"] = ["10 mx.them.test."]
    server.lies["long.test"] = huge(2000)
    resolver = DnsResolver(DnsPolicy(((server.host, server.port),), timeout=5.0))
    began = time.process_time()
    assert len((await resolver.mx("long.test")).records) == 2000
    assert time.process_time() - began < 2.0
