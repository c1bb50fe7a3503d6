"""Where a domain's mail goes."""

import pytest
from tests.queue.fakes import FakeDns

from pillarbox.queue.policy import Policy, Smarthost
from pillarbox.queue.routing import MAX_ADDRESSES, MAX_HOSTS, Unroutable, route
from pillarbox.smtp.client.policy import TlsMode

DNS = FakeDns(
    {
        "plain.test": [(20, "b.test"), (10, "a.test")],
        "equal.test": [(10, "a.test"), (10, "b.test"), (5, "six.test")],
        "null.test": [(0, "")],
        "nowhere.test": None,
        "implicit.test": [],
        "empty.test": [],
        "dangling.test": [(10, "gone.test")],
        "half.test": [(10, "?.test"), (20, "a.test")],
        "silent.test": [(10, "?.test")],
        "us.test": [(10, "mx.here.test")],
        "backup.test": [(10, "a.test"), (20, "MX.here.test."), (30, "b.test")],
        "ouraddress.test": [(10, "alias-of-us.test")],
        "odd.test": [(10, "zero.test")],
        "many.test": [(n, f"h{n}.test") for n in range(30)],
        "twice.test": [(10, "a.test"), (20, "a.test")],
    },
    {
        "a.test": ["192.0.2.1"],
        "b.test": ["2001:db8::2", "192.0.2.2"],
        "six.test": ["2001:db8::6"],
        "implicit.test": ["192.0.2.7"],
        "empty.test": [],
        "alias-of-us.test": ["198.51.100.1"],
        "mx.here.test": ["198.51.100.1"],
        "zero.test": ["0.0.0.0", "224.0.0.1", "::"],
        "smart.test": ["192.0.2.99"],
        **{f"h{n}.test": [f"10.{n}.0.{i}" for i in range(1, 9)] for n in range(30)},
    },
)
POLICY = Policy(host_name="mx.here.test", own_addresses=frozenset({"198.51.100.1"}))


@pytest.mark.parametrize(
    ("domain", "addresses"),
    [
        ("plain.test", ["192.0.2.1", "192.0.2.2", "2001:db8::2"]),
        ("equal.test", ["2001:db8::6", "192.0.2.2", "2001:db8::2", "192.0.2.1"]),  # equals are reversed by our shuffle
        ("implicit.test", ["192.0.2.7"]),
        ("half.test", ["192.0.2.1"]),
        ("backup.test", ["192.0.2.1"]),  # we are a backup: only better ones may get it (RFC 5321 §5.1)
        ("twice.test", ["192.0.2.1"]),
        ("[192.0.2.55]", ["192.0.2.55"]),
        ("[ipv6:2001:db8::55]", ["2001:db8::55"]),
    ],
)
async def test_routes(domain: str, addresses: list[str]) -> None:
    peers = await route(domain, POLICY, DNS, lambda records: records[::-1])
    assert [p.address for p in peers] == addresses
    assert {(p.port, p.tls) for p in peers} == {(25, TlsMode.OPPORTUNISTIC)}


@pytest.mark.parametrize(
    ("domain", "code", "enhanced"),
    [
        ("nowhere.test", 550, "5.1.2"),
        ("null.test", 556, "5.1.10"),  # RFC 7505 §4
        ("empty.test", 550, "5.4.4"),
        ("dangling.test", 550, "5.4.4"),
        ("odd.test", 550, "5.4.4"),
        ("silent.test", 451, "4.4.3"),
        ("?.test", 451, "4.4.3"),
        ("us.test", 554, "5.4.6"),
        ("ouraddress.test", 554, "5.4.6"),
        ("[198.51.100.1]", 554, "5.4.6"),
        ("[nonsense]", 550, "5.1.2"),
    ],
)
async def test_no_route(domain: str, code: int, enhanced: str) -> None:
    with pytest.raises(Unroutable) as caught:
        await route(domain, POLICY, DNS, list)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (code, enhanced)


async def test_numbers_are_bounded() -> None:
    peers = await route("many.test", POLICY, DNS, list)
    assert len(peers) == MAX_HOSTS * MAX_ADDRESSES


async def test_smarthosts() -> None:
    everything = Smarthost("smart.test", 465, TlsMode.IMPLICIT)
    literal = Smarthost("192.0.2.98")
    policy = Policy(smarthost=everything, smarthosts={"plain.test": literal, "implicit.test": None})
    found = [await route(d, policy, DNS, list) for d in ("nowhere.test", "plain.test", "implicit.test")]
    assert [(p[0].host, p[0].address, p[0].port, p[0].tls) for p in found] == [
        ("smart.test", "192.0.2.99", 465, TlsMode.IMPLICIT),
        ("192.0.2.98", "192.0.2.98", 587, TlsMode.REQUIRED),
        ("implicit.test", "192.0.2.7", 25, TlsMode.OPPORTUNISTIC),
    ]
    assert policy.destination("a.example") == policy.destination("b.example") != policy.destination("plain.test")
    with pytest.raises(Unroutable) as caught:
        await route("x.test", Policy(smarthost=Smarthost("misspelt.test")), DNS, list)
    assert not caught.value.reply.is_permanent  # our own mistake must not bounce mail


async def test_families() -> None:
    peers = await route("plain.test", Policy(families=("ipv6",)), DNS, list)
    assert [p.address for p in peers] == ["2001:db8::2"]
    peers = await route("plain.test", Policy(families=("ipv6", "ipv4")), DNS, list)
    assert [p.address for p in peers] == ["192.0.2.1", "2001:db8::2", "192.0.2.2"]
