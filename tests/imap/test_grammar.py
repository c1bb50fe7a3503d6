"""The cursor, rule by rule: (octets, value), or BadSyntax."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import MAX_RANGES, Cursor
from pillarbox.imap.message_set import STAR, MessageSet

Rule = Callable[[Cursor], object]
BAD = object()


def read(rule: Rule, octets: bytes, *, utf8: bool = False) -> object:
    cursor = Cursor(octets, utf8=utf8)
    try:
        value = rule(cursor)
        cursor.end()
    except BadSyntax:
        return BAD
    return value


TABLE: list[tuple[Rule, bytes, object]] = [
    (Cursor.atom, b"abc", b"abc"),
    (Cursor.atom, b"", BAD),
    (Cursor.atom, b"a(b", BAD),
    (Cursor.atom, b"a]b", BAD),
    (Cursor.keyword, b"body.peek", "BODY.PEEK"),
    (Cursor.astring, b"a]b", b"a]b"),
    (Cursor.astring, b'"a b"', b"a b"),
    (Cursor.astring, b"{3}\r\na b", b"a b"),
    (Cursor.astring, b"{0}\r\n", b""),
    (Cursor.astring, b"{2+}\r\n\x00\xff", b"\x00\xff"),
    (Cursor.astring, b"~{2}\r\nab", BAD),
    (Cursor.astring, b"{4}\r\na b", BAD),
    (Cursor.astring, b"{3}a b", BAD),
    (Cursor.astring, b'""', b""),
    (Cursor.astring, b'"', BAD),
    (Cursor.astring, b'"\\a"', BAD),
    (Cursor.astring, rb'"a\"b\\c"', rb'a"b\c'),
    (Cursor.astring, b'"\xc3\xbc"', BAD),
    (Cursor.astring, b'"a\nb"', BAD),
    (Cursor.astring, b"*", BAD),
    (Cursor.nstring, b"nil", None),
    (Cursor.nstring, b'"nil"', b"nil"),
    (Cursor.number, b"4294967295", 2**32 - 1),
    (Cursor.number, b"4294967296", BAD),
    (Cursor.number, b"-1", BAD),
    (Cursor.number64, b"9223372036854775807", 2**63 - 1),
    (Cursor.number64, b"9223372036854775808", BAD),
    (Cursor.number64, b"0", 0),
    (Cursor.mailbox, b"inBox", "INBOX"),
    (Cursor.mailbox, b'"inbox"', "INBOX"),
    (Cursor.mailbox, b"Entw&APw-rfe", "Entwürfe"),
    (Cursor.mailbox, b"Entw&rfe", BAD),
    (Cursor.mailbox, b"{2}\r\n\xc3\xbc", BAD),
    (Cursor.mailbox, b"a*", BAD),
    (Cursor.list_mailbox, b"a*/%", "a*/%"),
    (Cursor.list_mailbox, b'""', ""),
    (Cursor.flag, b"\\sEEN", "\\Seen"),
    (Cursor.flag, b"$Junk", "$Junk"),
    (Cursor.flag, b"\\*", BAD),
    (Cursor.flag, b"k" * 256, BAD),
    (Cursor.flags, b"()", frozenset()),
    (Cursor.flags, b"(\\Seen \\Recent a)", frozenset({"\\Seen", "a"})),
    (Cursor.flags, b"(\\Seen  a)", BAD),
    (Cursor.flags, b"(\\Seen a", BAD),
    (Cursor.message_set, b"1", MessageSet(((1, 1),))),
    (Cursor.message_set, b"1:*,7,*:3", MessageSet(((1, STAR), (7, 7), (STAR, 3)))),
    (Cursor.message_set, b"$", MessageSet((), saved=True)),
    (Cursor.uid_set, b"4294967295", MessageSet(((2**32 - 1, 2**32 - 1),), by_uid=True)),
    (Cursor.message_set, b"4294967296", BAD),
    (Cursor.message_set, b"0", BAD),
    (Cursor.message_set, b"1:", BAD),
    (Cursor.message_set, b"1,,2", BAD),
    (Cursor.message_set, b"01", BAD),
    (Cursor.date_time, b'"17-Jul-1996 02:44:25 -0700"', 837596665),
    (Cursor.date_time, b'" 1-jan-1970 00:00:00 +0000"', 0),
    (Cursor.date_time, b'"1-Jan-1970 00:00:00 +0000"', 0),  # as some servers say it, from which programs copy
    (Cursor.date_time, b'"01-Jan-1970 00:00:60 +0000"', 59),
    (Cursor.date_time, b'"31-Feb-2000 00:00:00 +0000"', BAD),
    (Cursor.date_time, b'"01-Foo-2000 00:00:00 +0000"', BAD),
    (Cursor.date_time, b'"01-Jan-2000 24:00:00 +0000"', BAD),
    (Cursor.date_time, b'"01-Jan-2000 00:00:00 +9900"', BAD),
    (Cursor.date_time, b'"01-Jan-0001 00:00:00 +2300"', -62135679600),
    (Cursor.date_time, b"now", BAD),
    (Cursor.date, b"1-Feb-1994", date(1994, 2, 1)),
    (Cursor.date, b'"01-Feb-1994"', date(1994, 2, 1)),
    (Cursor.date, b'"1-Feb-1994', BAD),
    (Cursor.date, b"30-Feb-1994", BAD),
]


def test_a_set_is_bounded_but_long_ones_are_taken() -> None:
    """Its work is done in one go, so that others wait for it."""
    many = b",".join(b"%d" % (2 * n + 1) for n in range(MAX_RANGES))
    value = read(Cursor.uid_set, many)
    assert isinstance(value, MessageSet)
    assert len(value.ranges) == MAX_RANGES
    assert read(Cursor.uid_set, many + b",7777777") is BAD
    assert read(Cursor.number_set, b",".join([b"1:*"] * 100_000)) == MessageSet(((1, STAR),))


@pytest.mark.parametrize(("rule", "octets", "value"), TABLE)
def test_rules(rule: Rule, octets: bytes, value: object) -> None:
    assert read(rule, octets) == value


@pytest.mark.parametrize(
    ("rule", "octets", "value"),
    [
        (Cursor.mailbox, '"Tom & Jürgen"'.encode(), "Tom & Jürgen"),
        (Cursor.mailbox, "{2}\r\nü".encode(), "ü"),
        (Cursor.list_mailbox, "ü*".encode(), "ü*"),
        (Cursor.mailbox, b'"\xff"', BAD),
        (Cursor.mailbox, b'"Entw&APw-rfe"', "Entw&APw-rfe"),
    ],
)
def test_rules_with_utf8(rule: Rule, octets: bytes, value: object) -> None:
    assert read(rule, octets, utf8=True) == value


RULES: list[Rule] = [*dict.fromkeys(rule for rule, _, _ in TABLE), Cursor.string, Cursor.text, Cursor.number_set]


@given(
    st.sampled_from(RULES), st.one_of(st.binary(), st.sampled_from([octets for _, octets, _ in TABLE])), st.booleans()
)
def test_only_bad_syntax_leaves_the_cursor(rule: Rule, octets: bytes, utf8: bool) -> None:
    read(rule, octets, utf8=utf8)
