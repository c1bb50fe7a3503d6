"""Notes of records: what is written is read again, and what is damaged is left out or harmless."""

import pytest

from pillarbox.store.embedded.changelog import decode_flags
from pillarbox.store.embedded.notes import Delivered, decode, encode


def test_what_is_written_is_read_again() -> None:
    delivered = [
        Delivered("a@b.test", "INBOX", 1_700_000_000, frozenset({"\\Seen", "$x"})),
        Delivered("queue x@b.test", "x/ü", 0, frozenset()),
    ]
    assert decode(encode(delivered, "q1").encode()) == delivered


@pytest.mark.parametrize(
    "note", [b"", b"\n\n", b"queue q1", b"a@b.test\tINBOX", b"a@b.test\tINBOX\tnever\t", b"\xff\t\t1\t"]
)
def test_what_is_no_delivery_is_left_out(note: bytes) -> None:
    assert decode(note) == []


@pytest.mark.parametrize(
    ("text", "flags"), [("", set()), (" ", set()), ("a  b", {"a", "b"}), ("\\Seen a", {"\\Seen", "a"})]
)
def test_no_flag_is_empty(text: str, flags: set[str]) -> None:
    assert decode_flags(text) == flags
