"""Headers of the PROXY protocol: the specification's own examples, bounds, and every way to cut them."""

import random
import struct
from ipaddress import ip_address

import pytest

from pillarbox.wire.proxy_header import MAX_BINARY, MAX_TEXT, SIGNATURE, BadHeader, Header, Origin, parse

TCP4, TCP6, UDP4, UNIX, UNSPECIFIED = 0x11, 0x21, 0x12, 0x31, 0x00
PROXY, LOCAL = 0x21, 0x20


def binary(command: int, kind: int, body: bytes, *, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, kind]) + struct.pack("!H", len(body) if length is None else length) + body


def addresses(peer: str, local: str, peer_port: int, local_port: int) -> bytes:
    return ip_address(peer).packed + ip_address(local).packed + struct.pack("!HH", peer_port, local_port)


LONGEST = "ffff:" * 7 + "ffff"
IPV4 = Origin("192.0.2.1", 56324, "198.51.100.7", 25)
IPV6 = Origin("2001:db8::1", 1, "2001:db8::2", 65535)
GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n", IPV4),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", IPV6),
    (b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 2001:db8::2 1 65535\r\n", IPV6),
    (f"PROXY TCP6 {LONGEST} {LONGEST} 65535 65535\r\n".encode(), Origin(LONGEST, 65535, LONGEST, 65535)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 56324 25\r\n", IPV4),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n", Origin("0.0.0.0", 0, "255.255.255.255", 0)),
    (b"PROXY UNKNOWN\r\n", None),
    (f"PROXY UNKNOWN {LONGEST} {LONGEST} 65535 65535\r\n".encode(), None),
    (binary(PROXY, TCP4, addresses("192.0.2.1", "198.51.100.7", 56324, 25)), IPV4),
    (binary(PROXY, TCP6, addresses("2001:db8::1", "2001:db8::2", 1, 65535)), IPV6),
    (binary(PROXY, TCP6, addresses("::ffff:192.0.2.1", "::ffff:198.51.100.7", 56324, 25)), IPV4),
    (binary(PROXY, TCP4, addresses("192.0.2.1", "198.51.100.7", 56324, 25) + b"\x04\x00\x02ab"), IPV4),
    (binary(PROXY, TCP4, addresses("192.0.2.1", "198.51.100.7", 56324, 25) + bytes(508)), IPV4),
    (binary(LOCAL, UNSPECIFIED, b""), None),
    (binary(LOCAL, TCP4, addresses("192.0.2.1", "198.51.100.7", 56324, 25)), None),
    (binary(LOCAL, 0x77, b"whatever"), None),
    (binary(PROXY, UNSPECIFIED, b"tlv"), None),
    (binary(PROXY, UNIX, bytes(216)), None),
]


def test_the_longest_ones_fit_exactly() -> None:
    assert max(len(octets) for octets, _ in GOOD if octets.startswith(b"PROXY")) == MAX_TEXT
    assert max(len(octets) for octets, _ in GOOD) == MAX_BINARY


@pytest.mark.parametrize(("octets", "origin"), GOOD)
def test_good_headers_however_they_are_cut(octets: bytes, origin: Origin | None) -> None:
    assert parse(octets) == Header(len(octets), origin)
    for rest in (b"EHLO x\r\n", b"\r\n", SIGNATURE, b"PROXY UNKNOWN\r\n", b"\x16\x03\x01"):
        assert parse(octets + rest) == Header(len(octets), origin)
    for end in range(1, len(octets)):
        assert parse(octets[:end]) is None


BAD = [
    b"EHLO x\r\n", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\n", b"proxy UNKNOWN\r\n", b"PROXY\r\n", b"PROXY TCP4\r\n",
    b"PROXY UNKNOWN\n", b"PROXY UNKNOWN\0\r\n", b"PROXY UNKNOWNx\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25 \r\n", b"PROXY TCP4  192.0.2.1 198.51.100.7 56324 25\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.7 56324 25\r\n", b"PROXY TCP4 192.0.2.01 198.51.100.7 56324 25\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n", b"PROXY TCP6 192.0.2.1 198.51.100.7 1 25\r\n",
    b"PROXY TCP6 2001:db8::1%eth0 2001:db8::2 1 25\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 025 25\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 25\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.7 1 25\r\n", b"PROXY " + b"x" * MAX_TEXT, b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    binary(0x11, TCP4, bytes(12)), binary(0x31, TCP4, bytes(12)), binary(0x22, TCP4, bytes(12)), binary(0x2F, TCP4, bytes(12)),
    binary(PROXY, UDP4, bytes(12)), binary(PROXY, 0x32, bytes(216)), binary(PROXY, 0x41, bytes(12)),
    binary(PROXY, TCP4, bytes(11)), binary(PROXY, TCP6, bytes(35)), binary(PROXY, UNIX, bytes(215)),
    binary(PROXY, TCP4, bytes(521)), binary(LOCAL, UNSPECIFIED, b"", length=65535),
    SIGNATURE[:-1] + b"\r\x21\x11\0\x0c" + bytes(12),
]  # fmt: skip


@pytest.mark.parametrize("octets", BAD)
def test_bad_headers_however_they_are_cut(octets: bytes) -> None:
    with pytest.raises(BadHeader):
        parse(octets)
    refused_at = next(end for end in range(1, len(octets) + 1) if _is_bad(octets[:end]))
    for end in range(refused_at, len(octets) + 1):
        assert _is_bad(octets[:end])


def _is_bad(octets: bytes) -> bool:
    try:
        return isinstance(parse(octets), Header) and False
    except BadHeader:
        return True


def test_only_its_own_error_leaves_whatever_is_sent() -> None:
    random.seed(2010)
    for _ in range(20_000):
        octets = bytearray(random.choice(GOOD)[0])
        for _change in range(random.randrange(4)):
            octets[random.randrange(len(octets))] = random.choice(b" \r\n0:.%\0\xff\x20\x21\x11T")
        try:
            found = parse(bytes(octets))
        except BadHeader:
            continue
        if found is not None and found.origin is not None:
            assert ip_address(found.origin.peer) is not None
