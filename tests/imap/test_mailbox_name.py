"""Modified UTF-7 (RFC 3501 §5.1.3)."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.mailbox_name import decode_utf7, encode_utf7

TABLE = [
    ("INBOX", "INBOX"),
    ("&-", "&"),
    ("Tom &- Jerry", "Tom & Jerry"),
    ("Entw&APw-rfe", "Entwürfe"),
    ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
    ("&2D3cSw-", "👋"),
]


@pytest.mark.parametrize(("text", "name"), TABLE)
def test_both_ways(text: str, name: str) -> None:
    assert decode_utf7(text) == name
    assert encode_utf7(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "&",  # not closed
        "a&b",
        "&U,BTFw",
        "&AGE-",  # printable ASCII must stand for itself
        "&U,BTFw-&ZeVnLIqe-",  # two runs that should be one
        "&2D0-",  # half of a pair
        "&!!!-",
        "&U,BTFx-",  # bits left over
        "&AA-",
    ],
)
def test_a_name_has_one_spelling(text: str) -> None:
    with pytest.raises(BadSyntax):
        decode_utf7(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_survives(name: str) -> None:
    encoded = encode_utf7(name)
    assert encoded.isascii()
    assert decode_utf7(encoded) == name


@given(st.text(st.characters(max_codepoint=127)))
def test_what_is_read_is_written_the_same(text: str) -> None:
    try:
        name = decode_utf7(text)
    except BadSyntax:
        return
    if "&" in text:
        assert encode_utf7(name) == text


@pytest.mark.parametrize("text", ["&" * 100_000, "&A" * 50_000, "&" + "A" * 100_000, "&-" * 50_000 + "&"])
def test_a_long_name_costs_no_more_than_its_length(text: str) -> None:
    start = process_time()
    with pytest.raises(BadSyntax):
        decode_utf7(text)
    assert process_time() - start < 1.0
