"""Which messages are summarised on the event loop: never one that is made to keep it busy."""

import pytest

from pillarbox.store.embedded.incoming import is_quick

_HEADER = b"From: a@example.org\r\nSubject: x\r\n"
_MIXED = _HEADER + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


@pytest.mark.parametrize(
    ("message", "quick"),
    [
        (_HEADER + b"\r\n" + b"text\r\n" * 20_000, True),
        (_MIXED + b"--b\r\n\r\ntext\r\n" * 20 + b"x" * 100_000, True),
        (_HEADER + b"To: " + b"a," * 3_900 + b"\r\n\r\n", True),
        (_HEADER + b"To: " + b"a," * 4_100 + b"\r\n\r\ntext\r\n", False),
        (_HEADER + b"X: y\r\n" * 4_000, False),  # all header
        (_MIXED + b"--b\r\n\r\ntext\r\n" * 1_000, False),
        (_HEADER + b"Content-Type: Message/RFC822\r\n\r\nTo: " + b"a," * 10_000, False),
        (b"content-type: message/rfc822\r\n\r\nTo: " + b"a," * 10_000, False),
        (_MIXED + b"--b\r\ncontent-TYPE :\r\n message (a comment) /rfc822\r\n\r\nTo: " + b"a," * 10_000, False),
        (_HEADER + b"Content-Type: multipart/Digest; boundary=b\r\n\r\n--b\r\n\r\nTo: " + b"a," * 10_000, False),
        (_MIXED + b"--b\r\n\r\na message/rfc822 in a digest\r\n" + b"x" * 10_000, True),
    ],
)
def test_what_may_take_long_goes_to_a_thread(message: bytes, *, quick: bool) -> None:
    assert is_quick(message) is quick
