"""Dot-stuffing and line ends, cut anywhere."""

import pytest
from tests.smtp.client.dialog import CUTS, Cut

from pillarbox.smtp.client.stuffing import DotStuffer

CASES = [
    (b"", b".\r\n"),
    (b"a\r\n", b"a\r\n.\r\n"),
    (b"a", b"a\r\n.\r\n"),
    (b".\r\n", b"..\r\n.\r\n"),
    (b".", b"..\r\n.\r\n"),
    (b"a\r\n.\r\n.b\r\n..\r\n", b"a\r\n..\r\n..b\r\n...\r\n.\r\n"),
    (b"a.b\r\n", b"a.b\r\n.\r\n"),
    # what could smuggle a second message past a careless server
    (b"a\n.\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\r.\rb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\n.\r\nMAIL FROM:<x>\r\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"),
    (b"a\r\r\n.\r\n", b"a\r\n\r\n..\r\n.\r\n"),
    (b"a\r", b"a\r\n.\r\n"),
    (b"a\r\n\r", b"a\r\n\r\n.\r\n"),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("octets", "expected"), CASES)
def test_stuffing(octets: bytes, expected: bytes, cut: Cut) -> None:
    stuffer = DotStuffer()
    assert b"".join([*(stuffer.stuff(piece) for piece in cut(octets)), stuffer.end()]) == expected
