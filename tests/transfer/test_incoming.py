"""Where the header ends, however the octets are cut."""

import pytest
from tests.smtp.dialog import cuts

from pillarbox.store.spool import Spool
from pillarbox.transfer.incoming import Incoming


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        (b"", b""),
        (b"\r\nbody", b""),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"A: b", b"A: b"),
        (b"A: b\r\n\r\n", b"A: b\r\n"),
        (b"A: b\r\n\r\nbody\r\n\r\nmore", b"A: b\r\n"),
        (b"A: b\r\n c\r\nD: e\r\n\r\n\r\n\r\n", b"A: b\r\n c\r\nD: e\r\n"),
        (b"x\r\n\r\n", b"x\r\n"),
    ],
)
def test_header_is_held_apart(octets: bytes, header: bytes) -> None:
    for chunks in cuts(octets):
        incoming = Incoming(Spool())
        for chunk in chunks:
            incoming.write(chunk)
        incoming.finish()
        assert incoming.header == header
        assert incoming.size == len(octets)
        assert incoming.seal(b"T: race\r\n").octets() == b"T: race\r\n" + octets


def test_the_header_may_change() -> None:
    incoming = Incoming(Spool())
    incoming.write(b"A: b\r\n\r\nbody")
    incoming.finish()
    incoming.header = b""
    assert incoming.seal(b"").octets() == b"\r\nbody"
