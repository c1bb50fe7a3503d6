"""Encoded words, charsets, parameters: what people wrote, whatever programs made of it."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.charset import codec, decode, is_known
from pillarbox.mail.content_type import decoded_parameter, parameter, parse_content_type, parse_token
from pillarbox.mail.encoded_word import decode_words, lenient_base64

WORDS = [
    (b"plain", "plain"),
    (b"=?utf-8?q?caf=C3=A9?=", "café"),
    (b"=?UTF-8?B?Y2Fmw6k=?=", "café"),
    (b"=?UTF-8*fr?B?Y2Fmw6k=?= ole", "café ole"),  # RFC 2231 §5
    (b"=?iso-8859-1?Q?a_b?= =?iso-8859-1?Q?c?=", "a bc"),  # RFC 2047 §8
    (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
    (b"=?utf-8?q?a?=\t=?iso-8859-1?q?=FC?=", "aü"),
    (b"=?utf-8?b?w5w=?= =?utf-8?b?w?= =?utf-8?b?5w=?=", "Ü\N{REPLACEMENT CHARACTER}"),
    (b"=?utf-8?q?=C3?= =?utf-8?q?=9C?=", "Ü"),  # a character cut in two
    (b"=?utf-8?b?Y2Fmw6k?=", "café"),  # padding is missing
    (b"=?utf-8?q?a b?=", "a b"),  # spaces are not allowed, and sent
    (b"x=?utf-8?q?a?=y", "xay"),
    (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
    (b"=?utf-8?q?a", "=?utf-8?q?a"),
    (b"=?none-such?q?=FC?=", "ü"),
    (b"caf\xc3\xa9", "café"),
    (b"caf\xe9", "café"),
    (b"", ""),
]


@pytest.mark.parametrize(("value", "text"), WORDS)
def test_decode_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@given(
    st.lists(
        st.sampled_from([b"=?", b"utf-8", b"?", b"q", b"b", b"?=", b"=", b" ", b"C3", b"_", b"\xff", b"rot13"])
    ).map(b"".join)
)
def test_any_value(value: bytes) -> None:
    assert isinstance(decode_words(value), str)


@pytest.mark.parametrize(
    "name",
    ["rot13", "rot_13", "zlib", "bz2", "hex", "base64", "uu", "quopri", "idna", "punycode", "unicode_escape",
     "raw-unicode-escape", "undefined", "mbcs", "oem", "", "none", "../../etc/passwd", "a" * 1000, "ü"],
)  # fmt: skip
def test_what_is_no_charset(name: str) -> None:
    assert not is_known(name)
    assert decode(b"abc", name) == "abc"


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"\x80", "iso-8859-1", "€"),
        (b"caf\xc3\xa9", "us-ascii", "café"),
        (b"caf\xe9", "", "café"),
        (b"\xb1\xb1", "gb2312", "北"),
        (b"\x1b$B$3$s\x1b(B", "iso-2022-jp", "こん"),
        (b"\xcf\xf0", "windows-1251", "Пр"),
        (b"\xcf\xf0", "cp-1251", "Пр"),
        (b"\xff\xfe\xfd", "utf-8", "\N{REPLACEMENT CHARACTER}" * 3),
        (b"+AOk-", "utf-7", "é"),
        ("é".encode("utf-16"), "utf-16", "é"),
        (b"", "utf-8", ""),
    ],
)
def test_decode(octets: bytes, charset: str, text: str) -> None:
    assert decode(octets, charset) == text


@given(
    st.binary(max_size=40), st.text(max_size=20) | st.sampled_from(["utf-7", "utf-16", "hz", "iso-2022-kr", "cp65001"])
)
def test_any_octets_in_any_charset(octets: bytes, charset: str) -> None:
    assert isinstance(decode(octets, charset), str)


def test_every_known_charset_is_a_text_codec() -> None:
    from pillarbox.mail import charset

    for name in {*charset._TABLE.values()}:
        assert codec(name) is not None or name in charset._TABLE.values()
        assert isinstance(codecs.decode(b"", name), str)
        assert isinstance(b"a".decode(name, "replace"), str)


@pytest.mark.parametrize(
    ("octets", "decoded"),
    [(b"YWJj", b"abc"), (b"YW Jj\r\n", b"abc"), (b"YWI", b"ab"), (b"YWJjZ", b"abc"), (b"!!", b""), (b"YQ==YQ==", b"a")],
)
def test_lenient_base64(octets: bytes, decoded: bytes) -> None:
    assert lenient_base64(octets).startswith(decoded)


TYPES = [
    (b"text/plain", (b"text", b"plain", ())),
    (b"Text/HTML; Charset=UTF-8", (b"text", b"html", ((b"charset", b"UTF-8"),))),
    (b'a/b; x="1;2"; y=3', (b"a", b"b", ((b"x", b"1;2"), (b"y", b"3")))),
    (rb'a/b; x="q\"\\"', (b"a", b"b", ((b"x", b'q"\\'),))),
    (b"a/b (comment); x=1 (another)", (b"a", b"b", ((b"x", b"1"),))),
    (b'a/b; x="(no comment)"', (b"a", b"b", ((b"x", b"(no comment)"),))),
    (b"a/b;; junk; x = 1 ;", (b"a", b"b", ((b"x", b"1"),))),
    (b'a/b; x="unfinished', (b"a", b"b", ((b"x", b"unfinished"),))),
    (b"text", None),
    (b"", None),
    (b"/plain", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), TYPES)
def test_content_type(value: bytes, expected: object) -> None:
    assert parse_content_type(value) == expected


NAMES = [
    (b"attachment; filename=a.txt", "a.txt"),
    (b'attachment; filename="=?utf-8?q?caf=C3=A9?=.txt"', "café.txt"),
    (b"attachment; filename*=utf-8'en'caf%C3%A9.txt", "café.txt"),
    (b"attachment; filename*0*=utf-8''caf%C3; filename*1*=%A9; filename*2=.txt", "café.txt"),
    (b"attachment; filename*1=b; filename*0=a", "ab"),
    (b"attachment; filename=plain.txt; filename*=utf-8''better.txt", "better.txt"),
    (b'attachment; filename="caf\xc3\xa9.txt"', "café.txt"),
    (b"attachment; filename*=caf%C3%A9", "café"),
    (b"inline", ""),
    (b"", ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "name"), NAMES)
def test_file_name(value: bytes, name: str) -> None:
    assert decoded_parameter(parse_token(value)[1], b"filename") == name


@given(
    st.lists(st.sampled_from([b"a", b"/", b";", b"=", b'"', b"\\", b"*", b"0", b"'", b"%", b"(", b")", b" "])).map(
        b"".join
    )
)
def test_any_parameters(value: bytes) -> None:
    parsed = parse_content_type(value)
    if parsed is not None:
        parameter(parsed.parameters, b"a")
        decoded_parameter(parsed.parameters, b"a")


@pytest.mark.parametrize(
    "value",
    [
        b"a/b" + b";" * 200_000,
        b'a/b;x="' + b"\\" * 200_000,
        b"a/b" + b";a" * 100_000,
        b"a/b " + b"(" * 200_000,
        b"a/b;" + b" " * 200_000,
        b"a/b" + b'; "' * 60_000,
    ],
)
def test_is_linear(value: bytes) -> None:
    parse_content_type(value)  # the test's timeout is the judge


def test_encoded_words_are_linear() -> None:
    decode_words(b"=?" * 100_000)
    decode_words(b"=?utf-8?q?a?= " * 50_000)
    decode_words(b"=?utf-8?q?" * 50_000)
