"""A message's whole text: what header and parts give, however the header is written."""

import pytest

from pillarbox.mail.full_text import MAX_TEXT, full_text
from pillarbox.mail.mime import parse
from pillarbox.mail.text import body_texts, header_text

_PARTS = b"\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>One \xc3\xa9</p>\r\n--b\r\n\r\nTwo\r\n--b--\r\n"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\nbody",
        b"all header: x",
        b"Subject: A\r\n b\r\n\r\nBody",
        b"Subject: =?utf-8?q?K=C3=A4se?=\r\nX:  y \r\n\r\nBody",
        b"Subject: K\xc3\xa4se\r\n\r\nBody",
        b"no field\r\n : y\r\nX : z\r\n\r\nBody",
        b"content-TYPE : multipart/mixed;\r\n boundary=b\r\nContent-Type: text/plain\r\n" + _PARTS,
        b"Content-Type: multipart/mixed; boundary=b\nSubject: x\n" + _PARTS,
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+VGhyZWU8L3A+\r\n",
        b'Content-Disposition: attachment; filename="Four.txt"\r\n\r\nBody',
    ],
)
def test_it_is_the_header_and_what_is_to_be_read_in_the_parts(message: bytes) -> None:
    tree = parse(message)
    body = "\n".join(body_texts(message, tree))
    assert full_text(message) == (header_text(message, 0, tree.body), body, True)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("over", [-1, 0, 1, 1000])
def test_what_is_longer_than_the_bound_is_not_whole(over: int, parts: int) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b"
    texts = [b"x" * 1000] * (parts - 1)
    texts.append(b"y" * (MAX_TEXT + over - len(head) - sum(map(len, texts))))
    message = head + b"\r\n\r\n" + b"".join(b"--b\r\n\r\n%b\r\n" % text for text in texts) + b"--b--\r\n"
    found = full_text(message)
    assert found.is_whole == (over <= 0)
    assert found.header.encode() == head
    assert found.body.encode() == b"\n".join(texts)[: MAX_TEXT - len(head) + parts - 1]


def test_a_header_longer_than_the_bound_is_not_whole() -> None:
    found = full_text(b"X: " + b"\xe9" * MAX_TEXT + b"\r\n\r\nbody")
    assert (len(found.header) <= MAX_TEXT, found.is_whole) == (True, False)


def test_a_header_with_nothing_to_decode_reads_as_one_that_has() -> None:
    plain = b"Subject: A \r\n\tb\r\nX :y\r\nnothing\r\nEmpty:\r\n"
    encoded = plain + b"Y: =?utf-8?q?=C3=A9?=\r\n"
    assert header_text(plain, 0, len(plain)) == "Subject: A \tb\nX: y\nEmpty: "
    assert header_text(encoded, 0, len(encoded)) == header_text(plain, 0, len(plain)) + "\nY: é"
