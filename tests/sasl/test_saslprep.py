"""SASLprep: the examples of RFC 4013 §3, and our choice about newer code points."""

import pytest

from pillarbox.sasl.saslprep import ProhibitedText, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("pa ss", "pa ss"),
        ("e\u0301", "\u00e9"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\U0001f512", "\U0001f512"),
        ("", ""),
    ],
)
def test_prepared(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "a\u0627", "é\u0080", "é\ufffd", "\n"])
def test_prohibited(text: str) -> None:
    with pytest.raises(ProhibitedText):
        saslprep(text)
