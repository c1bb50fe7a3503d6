"""Kept fields: chosen by their table, they are what a search through the header finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.corpus.generator import messages

from pillarbox.mail import kept_fields
from pillarbox.mail.header import FIELD, header_end, select
from pillarbox.mail.kept_fields import KINDS, NAMES, NONE, choose_each, keep, octets_of, without_table
from pillarbox.mail.summary import Summary, summarise

FROZEN = (
    b"from to cc bcc sender reply-to subject date message-id in-reply-to references content-type mime-version "
    b"content-transfer-encoding content-language list-id list-post list-unsubscribe list-unsubscribe-post precedence "
    b"auto-submitted importance x-priority priority received-spf authentication-results dkim-signature newsgroups "
    b"return-path delivered-to disposition-notification-to x-mailer user-agent x-spam-status x-spam-flag "
    b"autocrypt resent-date resent-from resent-to organization"
)

WANTED = [
    frozenset(names.lower().split())
    for names in (
        b"From To Cc Subject Date Message-ID References In-Reply-To Content-Type Reply-To",
        b"Subject",
        b"DATE TO",
        b"Organization",
        b" ".join(NAMES),
        b"",
    )
]


def check(header: bytes, names: frozenset[bytes]) -> None:
    """A header's fields are chosen by table as by pattern, of the kept ones and of the header itself."""
    summary = summarise(header)
    expected = select(header[: header_end(header)], names)
    assert choose_each([summary.kept], names) == [expected]
    assert choose_each([without_table(summary.fields)] * 2, names) == [expected] * 2


def test_kinds_are_what_stores_hold() -> None:
    """A name that moves would give old messages other fields. A new one comes last."""
    assert tuple(FROZEN.split()) == NAMES
    assert [KINDS[name] for name in NAMES] == [*range(len(NAMES))]


def test_layout() -> None:
    """It is on the disk of others."""
    summary = summarise(b"SUBJECT: a\r\n b\r\nX-No: c\r\nfrom : d")
    assert summary.kept == b"\3\6\0" + b"\x09\0\x19\0\x23\0" + b"SUBJECT: a\r\n b\r\nfrom : d\r\n"
    assert summary.fields == octets_of(summary.kept) == b"SUBJECT: a\r\n b\r\nfrom : d\r\n"
    assert keep([], []) == NONE == Summary().kept == summarise(b"X: y\r\n\r\n").kept
    assert without_table(b"To: x\r\n") == b"\0To: x\r\n"
    assert octets_of(NONE) == octets_of(without_table(b"")) == b""


@pytest.mark.parametrize("names", WANTED, ids=len)
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\r\n",
        b"Subject: a\r\n\r\nFrom: body\r\n",
        b"From: a\r\nReceived: b\r\nSUBJECT: one\r\nsubject : two\r\nDate: x\r\nsUbJeCt:three\r\n\r\n",
        b"To: a,\r\n\tb,\r\n c\r\nno field\r\n d\r\nDate:\r\n \r\nMIME-Version: 1.0\r\nOrganization: x\r\n\r\n",
        b"Subject: folded\r\n Date: no\r\nX-To: no\r\nTo: a\r\nXDate: no\r\nDatex: no\r\nDate: y\r\n",
        b"From: a\nSubject: b\n c\nDate: x",
        b"Subject: nul\0 \xff\r\nTo: half a line end\r",
        b"Subject: no line end",
    ],
)
def test_chosen_as_from_the_header(header: bytes, names: frozenset[bytes]) -> None:
    check(header, names)


def test_chosen_as_from_the_corpus() -> None:
    corpus = [
        octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for octets in messages(5, 300, sender="a@b", recipient="c@d")
    ]
    kept = [summarise(header).kept for header in corpus]
    for names in WANTED:
        assert choose_each(kept, names) == [select(header, names) for header in corpus]


_NAME = st.sampled_from([b"From", b"FROM", b"date", b"Date ", b"Subject\t", b"To", b"Cc", b"X-To", b"T", b"Received"])
_VALUE = st.sampled_from([b"", b" x", b" a\r\n b", b" a\r\n\tTo: b\r\n c", b"\r\n ", b" \0\xff", b":", b" a\n b"])
_LINE = st.builds(lambda name, value: name + b":" + value, _NAME, _VALUE) | st.sampled_from(
    [b"no field", b" more", b"\t"]
)


@given(
    st.lists(_LINE, max_size=12),
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
    st.sets(st.sampled_from([b"from", b"date", b"subject", b"to", b"cc", b"bcc"])),
)
def test_chosen_as_from_any_header(lines: list[bytes], end: bytes, last: bytes, names: set[bytes]) -> None:
    check(end.join(lines) + last, frozenset(names))


@pytest.mark.parametrize("count", [1, 200, 254, 255, 300, 1500])
def test_many_fields(count: int) -> None:
    header = b"".join(b"%b: %d\r\n" % (NAMES[n % len(NAMES)], n) for n in range(count))
    assert (summarise(header).kept[0] == 0) == (count > 254)
    for names in WANTED:
        check(header, names)


@pytest.mark.parametrize("size", [60_000, 65_499, 65_500, 100_000, 200_000])
def test_long_fields(size: int) -> None:
    header = b"From: a\r\nTo: %b\r\nX: y\r\nDate: x\r\n" % (b"b" * size)
    assert (summarise(header).kept[0] == 0) == (size > 65_499)
    for names in WANTED:
        check(header, names)


def test_more_kinds_of_mail_than_are_remembered() -> None:
    orders = [[(n >> bit & 1) * 6 for bit in range(12)] for n in range(3000)]
    each = [keep(kinds, [NAMES[kind] + b": x\r\n" for kind in kinds]) for kinds in orders]
    names = frozenset((b"subject",))
    for _ in range(2):
        assert choose_each(each, names) == [b"subject: x\r\n" * (sum(kinds) // 6) + b"\r\n" for kinds in orders]
    assert len(kept_fields._plans(names)[0]) <= kept_fields._MAX_PLANS


@given(
    st.binary(max_size=60) | st.builds(lambda k, rest: bytes([k]) + rest, st.integers(0, 12), st.binary(max_size=60))
)
def test_what_the_disk_made_of_it_raises_nothing(kept: bytes) -> None:
    octets_of(kept)
    for names in WANTED:
        choose_each([kept], names)


def test_kept_are_all_fields_of_these_names() -> None:
    header = b"".join(name.title() + b": x\r\nNo-" + name + b": y\r\n" for name in NAMES)
    assert [found[1].lower() for found in FIELD.finditer(summarise(header).fields)] == [*NAMES]
