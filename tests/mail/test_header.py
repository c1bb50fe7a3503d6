"""Header fields as octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.header import (
    FIELD,
    add,
    count,
    fields,
    header_end,
    present,
    remove,
    render,
    select,
    unfold,
    value_of,
    values_of,
)

HEADER = b"Received: one\r\n\tfolded\r\nSubject: first\r\nX-Empty:\r\nno field here\r\nSUBJECT : second\r\n\r\n"
MESSAGE = HEADER + b"Subject: body\r\n"


@pytest.mark.parametrize(
    ("octets", "end"),
    [
        (b"", 0),
        (b"\r\n", 2),
        (b"\nbody", 1),
        (b"A: b\r\n\r\nbody", 8),
        (b"A: b\n\nbody", 6),
        (b"A: b\n\n\r\nbody", 6),
        (b"A: b\r\n\nbody", 7),
        (b"A: b\r\n", 6),
        (b"A: b", 4),
        (b"A: b\r\n \r\n\r\nbody", 11),
    ],
)
def test_header_end(octets: bytes, end: int) -> None:
    assert header_end(octets) == end


def test_fields() -> None:
    assert [(each.name, each.value) for each in fields(MESSAGE)] == [
        (b"received", b" one\r\n\tfolded"),
        (b"subject", b" first"),
        (b"x-empty", b""),
        (b"subject", b" second"),
    ]
    for field in fields(MESSAGE):
        assert MESSAGE[field.start : field.end].endswith(b"\r\n")


def test_values() -> None:
    assert values_of(HEADER, b"subject") == [b"first", b"second"]
    assert value_of(HEADER, b"received") == b"one\tfolded"
    assert value_of(HEADER, b"x-empty") == b""
    assert value_of(HEADER, b"x-emp") is None
    assert value_of(HEADER, b"field") is None
    assert count(MESSAGE, b"subject") == 2


@pytest.mark.parametrize(
    ("header", "names", "selected"),
    [
        (HEADER, b"subject received", b"Received: one\r\n\tfolded\r\nSubject: first\r\nSUBJECT : second\r\n"),
        (HEADER, b"x-empty", b"X-Empty:\r\n"),
        (HEADER, b"none x-emp", b""),
        (HEADER, b"", b""),
        (b"", b"a", b""),
        (b"A: 1\r\n a: 2\r\nB: a: 3\r\n\tA: 4\r\nAA: 5\r\na\t:6\r\n", b"a", b"A: 1\r\n a: 2\r\na\t:6\r\n"),
        (b"A: 1\nB: 2\nC: 3\nb: 4\n", b"a b", b"A: 1\nB: 2\nb: 4\n"),
        (b"Ab: 1\r\nAc: 2\r\nBc: 3\r\nbd: 4\r\n", b"ac ab bd", b"Ab: 1\r\nAc: 2\r\nbd: 4\r\n"),
        (b"A: nul\0 \xff\r\n", b"a", b"A: nul\0 \xff\r\n"),
        (b"B: 1\r\nA: no line end", b"a", b"A: no line end\r\n"),
        (b"B: 1\r\nA: half a line end\r", b"a b", b"B: 1\r\nA: half a line end\r\n"),
        (b"A: folded\r\n without", b"a", b"A: folded\r\n without\r\n"),
        (b"A: same\r\nB: A: same", b"a", b"A: same\r\n"),
        (b"^: 1\r\n]-[: 2\r\n\\: 3\r\n&: 4\r\n-: 5\r\n", b"^ ]-[ \\ -", b"^: 1\r\n]-[: 2\r\n\\: 3\r\n-: 5\r\n"),
    ],
)
def test_select_keeps_order_and_octets(header: bytes, names: bytes, selected: bytes) -> None:
    assert select(header, frozenset(names.split())) == selected + b"\r\n"


def test_a_field_has_a_name() -> None:
    assert select(b": 1\r\n : 2\r\nA: 3\r\n", frozenset((b"", b"a"))) == b"A: 3\r\n\r\n"


_LINES = st.sampled_from([b"a: 1", b"B :2", b"ab: 3", b"b\t:\t4", b" a: 5", b"\tb", b"", b"a", b":", b"a:\0", b"b:\r"])


@given(st.lists(_LINES), st.sampled_from([b"\r\n", b"\n"]), st.sets(st.sampled_from([b"a", b"b", b"ab", b"c"])))
def test_select_finds_what_fields_are(lines: list[bytes], end: bytes, names: set[bytes]) -> None:
    header = b"".join(line + end for line in lines)
    expected = b"".join(found[0] for found in FIELD.finditer(header) if found[1].lower() in names)
    assert select(header, frozenset(names)) == expected + b"\r\n"


def test_remove_and_add_leave_everything_else() -> None:
    assert remove(MESSAGE, frozenset((b"subject",))) == (
        b"Received: one\r\n\tfolded\r\nX-Empty:\r\nno field here\r\n\r\nSubject: body\r\n"
    )
    assert remove(MESSAGE, frozenset((b"none",))) == MESSAGE
    assert remove(b": a\r\n", frozenset()) == b": a\r\n"
    assert add(b"A: b\r\n\r\n", render(b"New", b"value")) == b"New: value\r\nA: b\r\n\r\n"


@pytest.mark.parametrize(
    ("value", "line"),
    [(b" a\r\n b", b"a b"), (b" a\r\n\tb \r\n", b"a\tb"), (b"a\n b", b"a b"), (b"", b""), (b"a\nb", b"a b")],
)
def test_unfold(value: bytes, line: bytes) -> None:
    assert unfold(value) == line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Subject", b"a\r\nBcc: victim@example.org"),
        (b"Subject", b"a\nb"),
        (b"Subject", b"a\rb"),
        (b"Subject", b"a\0b"),
        (b"Subject", b"a\r\n\r\n body"),
        (b"Sub ject", b"a"),
        (b"Sub:ject", b"a"),
        (b"", b"a"),
        (b"Subject\r\n", b"a"),
    ],
)
def test_injection_is_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="field"):
        render(name, value)


def test_folded_values_are_rendered() -> None:
    assert render(b"Received", b"from a\r\n\tby b\r\n for c") == b"Received: from a\r\n\tby b\r\n for c\r\n"


@given(
    st.lists(st.sampled_from([b"a", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"Subject: x", b"\xff", b"\0"])).map(
        b"".join
    )
)
def test_any_octets(octets: bytes) -> None:
    end = header_end(octets)
    position = 0
    for field in fields(octets):
        assert position <= field.start < field.end <= end
        position = field.end
    assert remove(octets, frozenset((b"subject",))).endswith(octets[end:])
    header = octets[:end]
    gone = [(f.start, f.end) for f in fields(octets) if f.name == b"subject"]
    kept = bytes(octet for at, octet in enumerate(octets) if not any(start <= at < stop for start, stop in gone))
    assert remove(octets, frozenset((b"subject",))) == kept
    assert present(header, frozenset((b"subject", b"a"))) == {f.name for f in fields(octets)} & {b"subject", b"a"}
    assert values_of(header, b"subject") == [unfold(f.value) for f in fields(octets) if f.name == b"subject"]
