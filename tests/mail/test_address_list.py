"""Address lists, from the tidy to the terrible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.address_list import MAX_TOKENS, Entry, addresses, parse_addresses


def one(name: bytes | None, local: bytes | None, host: bytes | None, route: bytes | None = None) -> Entry:
    return Entry(name, route, local, host)


END = Entry(None, None, None, None)

LISTS = [
    (b"", []),
    (b"a@b.example", [one(None, b"a", b"b.example")]),
    (b"<a@b.example>", [one(None, b"a", b"b.example")]),
    (b"A <a@b>, B C <c@d>", [one(b"A", b"a", b"b"), one(b"B C", b"c", b"d")]),
    (b'"Doe, John" <j@d>, k@e', [one(b"Doe, John", b"j", b"d"), one(None, b"k", b"e")]),
    (rb'"Joe \"Q\" Public" <john.q.public@example.com>', [one(b'Joe "Q" Public', b"john.q.public", b"example.com")]),
    (b'=?utf-8?q?J=C3=B8rn?= <j@x>', [one(b"=?utf-8?q?J=C3=B8rn?=", b"j", b"x")]),
    (b'"quoted local"@example.com', [one(None, b"quoted local", b"example.com")]),
    (b"a@[192.0.2.1]", [one(None, b"a", b"[192.0.2.1]")]),
    (b"a@b (Alice)", [one(b"Alice", b"a", b"b")]),
    (b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", [one(b"Pete", b"pete", b"silly.test")]),
    (b"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org;",
     [one(None, b"A Group", None), one(b"Chris Jones", b"c", b"public.example"), one(None, b"joe", b"example.org"), END]),
    (b"Undisclosed recipients:;", [one(None, b"Undisclosed recipients", None), END]),
    (b"g: a@b; c@d", [one(None, b"g", None), one(None, b"a", b"b"), END, one(None, b"c", b"d")]),
    (b"g: a@b", [one(None, b"g", None), one(None, b"a", b"b"), END]),
    (b"Mary Smith <@node.test,@other.test:mary@example.net>, , jdoe@test  . example",
     [one(b"Mary Smith", b"mary", b"example.net", b"@node.test,@other.test"), one(None, b"jdoe", b"test.example")]),
    (b"John <jdoe@one.test\r\n >, joe.bloggs . x @ example . com",
     [one(b"John", b"jdoe", b"one.test"), one(None, b"joe.bloggs.x", b"example.com")]),
    (b"root", [one(None, b"root", b"")]),
    (b"Postmaster <postmaster>", [one(b"Postmaster", b"postmaster", b"")]),
    (b"a@b <c@d>", [one(b"a@b", b"c", b"d")]),
    (b"a@b@c", [one(None, b"a@b", b"c")]),
    (b"Broken <a@b, c@d", [one(b"Broken", b"a", b"b"), one(None, b"c", b"d")]),
    (b"J\xc3\xb8rn <j@x>", [one(b"J\xc3\xb8rn", b"j", b"x")]),
    (b"<>", []),
    (b'"" <a@b>, " " <c@d>,<e@f>', [one(None, b"a", b"b"), one(None, b"c", b"d"), one(None, b"e", b"f")]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "entries"), LISTS)
def test_list(value: bytes, entries: list[Entry]) -> None:
    assert parse_addresses(value) == entries


def test_only_addresses() -> None:
    assert addresses(b"g: A <a@b>, c@d;, e@f") == [(b"a", b"b"), (b"c", b"d"), (b"e", b"f")]


@given(
    st.lists(
        st.sampled_from([*(bytes([each]) for each in b'a@<>,:;()"\\ [].'), b'""', b"<a@b>", b"a@b", b"()", b"g:"])
    ).map(b"".join)
)
def test_any_value(value: bytes) -> None:
    entries = parse_addresses(value)
    opened = sum(each.host is None and each.local is not None for each in entries)
    assert opened == entries.count(END)


@pytest.mark.parametrize(
    "value",
    [
        b"(" * 100_000,
        b"<" * 100_000,
        b"a <" * 50_000,
        b'"' * 99_999,
        b"a:" * 50_000,
        b"," * 100_000,
        b"[" * 99_999,
        b"@" * 99_999,
        b"a " * 100_000,
        b"<a,b" * 50_000,
        b"a" + b" " * 500_000 + b"b",
        b"a" + b"\t" * 500_000 + b"<",
        b'"a"' + b" " * 500_000 + b"b",
        b'a, "' * 50_000,
    ],
)
def test_is_linear(value: bytes) -> None:
    parse_addresses(value)  # the test's timeout is the judge


def test_what_is_unusual_is_bounded_and_nothing_of_it_is_lost() -> None:
    entries = parse_addresses(b"g:;" * MAX_TOKENS + b"a@b.example")
    assert len(entries) < MAX_TOKENS
    assert entries[-1].local is not None
    assert entries[-1].local.endswith(b"g:;a@b.example")
    assert entries[-1].host == b""  # nobody's address


def test_usual_addresses_after_an_unusual_one_are_not_bounded() -> None:
    members = b", ".join(b"B C <%d@b.example>" % n for n in range(MAX_TOKENS))
    assert parse_addresses(b"x@y.example (A), " + members + b", g: " + members + b";")[MAX_TOKENS + 1 :][:2] == [
        one(None, b"g", None),
        one(b"B C", b"0", b"b.example"),
    ]
