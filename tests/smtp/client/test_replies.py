"""Replies of other servers, cut anywhere."""

import random

import pytest
from tests.smtp.client.dialog import CUTS, Cut

from pillarbox.mail.status import Reply
from pillarbox.smtp.client.replies import MAX_LINE, MAX_LINES, BadReply, ReplyReader

GOOD = [
    (b"220 mx.test ESMTP\r\n", [Reply(220, "", "mx.test ESMTP")]),
    (b"250 2.1.0 ok\r\n", [Reply(250, "2.1.0", "ok")]),
    (b"250\r\n", [Reply(250, "", "")]),
    (b"250 \r\n", [Reply(250, "", "")]),
    (b"354 go\n250 done\n", [Reply(354, "", "go"), Reply(250, "", "done")]),
    (b"250-mx\r\n250-SIZE 10\r\n250 HELP\r\n", [Reply(250, "", "mx\nSIZE 10\nHELP")]),
    (b"550-5.7.1 one\r\n550 5.7.1 two\r\n", [Reply(550, "5.7.1", "one\ntwo")]),
    (b"550 5.1.1\r\n", [Reply(550, "5.1.1", "")]),
    (b"550 4.1.1 class does not fit\r\n", [Reply(550, "", "4.1.1 class does not fit")]),
    (b"451 a\x00b\x1b[31m\xff\r\n", [Reply(451, "", "a b [31m\ufffd")]),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("octets", "expected"), GOOD)
def test_replies(octets: bytes, expected: list[Reply], cut: Cut) -> None:
    reader = ReplyReader()
    found = []
    for piece in cut(octets):
        reader.feed(piece)
        while (reply := reader.next()) is not None:
            found.append(reply)
    assert found == expected


LONG = b"250 " + b"x" * MAX_LINE + b"\r\n"
ENDLESS = b"250-x\r\n" * (MAX_LINES + 1)


@pytest.mark.parametrize(
    "octets",
    [b"hello\r\n", b"\r\n", b"25 ok\r\n", b"2500 ok\r\n", b"999 ok\r\n", b"250+ok\r\n", LONG, ENDLESS],
)
def test_what_is_no_reply(octets: bytes) -> None:
    reader = ReplyReader()
    reader.feed(octets)
    with pytest.raises(BadReply):
        reader.next()


def test_any_octets_give_replies_or_bad_reply() -> None:
    source = random.Random(7)
    for _ in range(300):
        reader = ReplyReader()
        reader.feed(bytes(source.choice(b"2345-. \r\nxy\x00\xff") for _ in range(60)))
        try:
            while reader.next() is not None:
                pass
        except BadReply:
            pass
