"""xtext, as senders of envelope ids and original recipients write it (RFC 3461 §4)."""

import pytest

from pillarbox.mail import xtext


@pytest.mark.parametrize(
    ("text", "means", "printable"),
    [
        ("", "", True),
        ("QQ314159", "QQ314159", True),
        ("a+40b.example", "a@b.example", True),
        ("a+20b", "a b", True),
        ("1+2B1+3D2", "1+1=2", True),
        ("a+0D+0AX-Evil:+201", "a\r\nX-Evil: 1", False),
        ("+FF", "\xff", False),
        ("a=b", "a=b", False),
        ("a+4", "a+4", False),
        ("a+4g", "a+4g", False),
        ("a+4a", "a+4a", False),  # upper case only
        ("a b", "a b", False),
        ("ü", "ü", False),
        ("+2B40", "+40", True),  # once
    ],
)
def test_xtext(text: str, means: str, printable: bool) -> None:
    assert xtext.decode(text) == means
    assert xtext.is_printable(text) is printable
