"""The summary of a message: what clients list, ready to send."""

import re

import pytest

from pillarbox.mail.body_structure import without_extensions
from pillarbox.mail.header import header_end
from pillarbox.mail.kept_fields import without_table
from pillarbox.mail.mime import parse
from pillarbox.mail.nstring import nstring, string
from pillarbox.mail.search_text import folded
from pillarbox.mail.summary import PREVIEW_LENGTH, Summary, message_id_of, summarise, summarise_anyway
from pillarbox.mail.text import body_texts, html_text

PLAIN_STRUCTURE = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d NIL NIL NIL NIL)'


def test_a_fault_leaves_a_message_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = b"X-A: b\r\nSubject: =?x\r\n folded\r\nMessage-ID: <a@b>\r\n\r\none\r\ntwo\r\n"
    fault, told = AttributeError("'NoneType' object has no attribute 'strip'"), list[Exception]()

    def faulty(*_: object) -> None:
        raise fault

    assert summarise_anyway(octets, told.append) == summarise(octets)
    monkeypatch.setattr("pillarbox.mail.summary.envelope", faulty)
    found = summarise_anyway(octets, told.append)
    assert told == [fault]
    assert found == Summary(
        bodystructure=b'("TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "8BIT" 10 2 NIL NIL NIL NIL)',
        kept=without_table(b"Subject: =?x\r\n folded\r\nMessage-ID: <a@b>\r\n"),
        header_size=len(octets) - 10,
        message_id="<a@b>",
    )
    assert summarise_anyway(b"", told.append).header_size == 0
    assert summarise_anyway(b"Subject: x", told.append).fields == b""


def test_nothing() -> None:
    summary = summarise(b"")
    assert summary == Summary(bodystructure=PLAIN_STRUCTURE % (0, 0))


@pytest.mark.parametrize(
    ("header", "envelope"),
    [
        (b"Subject: x\r\n", b'(NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (b"Subject:\r\n", b'(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (b"Subject: a\r\n b\r\n", b'(NIL "a b" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (b'Subject: say "hi" \\o/\r\n', rb'(NIL "say \"hi\" \\o/" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (b"Subject: caf\xc3\xa9\r\n", b"(NIL {5}\r\ncaf\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (b"Subject: a\0b\r\n", b'(NIL "ab" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (b"Subject: a\rb\r\n", b"(NIL {3}\r\na\rb NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (b"Subject: one\r\nSubject: two\r\n", b'(NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            b"From: a@b\r\nSender:\r\nReply-To: c@d\r\n",
            b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL)',
        ),
        (
            b"To: a@b\r\nTo: c@d\r\n",
            b'(NIL NIL NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)',
        ),
        (
            b"To: undisclosed-recipients:;\r\n",
            b'(NIL NIL NIL NIL NIL ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)',
        ),
        (
            b'To: "a\\"b" <c@d>\r\n',
            rb'(NIL NIL NIL NIL NIL (("a\"b" NIL "c" "d")) NIL NIL NIL NIL)',
        ),
        (b"In-Reply-To: <1@x>\r\nMessage-ID: <2@x>\r\n", b'(NIL NIL NIL NIL NIL NIL NIL NIL "<1@x>" "<2@x>")'),
    ],
)
def test_envelope(header: bytes, envelope: bytes) -> None:
    assert summarise(header + b"\r\nbody").envelope == envelope


def test_every_extension_field() -> None:
    """The Gmail app needs all of them."""
    message = (
        b'Content-Type: image/png; name="a b.png"\r\nContent-ID: <cid@x>\r\nContent-Description: a picture\r\n'
        b"Content-Transfer-Encoding: BASE64\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: ATTACHMENT; filename=x.png\r\n"
        b"Content-Language: en, de\r\nContent-Location: http://example.org/\r\n x.png\r\n\r\nAAAA\r\n"
    )
    assert summarise(message).bodystructure == (
        b'("image" "png" ("name" "a b.png") "<cid@x>" "a picture" "base64" 6 "Q2hlY2s=" '
        b'("attachment" ("filename" "x.png")) ("en" "de") "http://example.org/x.png")'
    )


def test_structure_of_what_limits_cut_off() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (i, i) for i in range(200))
    structure = summarise(deep).bodystructure
    assert b'"application" "octet-stream"' in structure
    assert structure.count(b"(") == structure.count(b")")
    assert without_extensions(structure).count(b'"mixed")') == 100


def test_fields_are_as_they_stand() -> None:
    message = b"X-Other: no\r\nsubject: a\r\n  b\r\nFROM: c@d\r\nReceived: x\r\nDate: y"
    summary = summarise(message)
    assert summary.fields == b"subject: a\r\n  b\r\nFROM: c@d\r\nDate: y\r\n"
    assert summary.header_size == len(message)


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        (b"<a@b>", "<a@b>"),
        (b" <a@b> (comment)", "<a@b>"),
        (b"<[uuid]@x.example>", "<[uuid]@x.example>"),
        (b"a@b", ""),
        (b"", ""),
    ],
)
def test_message_id(value: bytes, message_id: str) -> None:
    octets = b"A: b\r\nMessage-ID: " + value + b"\r\n\r\n"
    assert summarise(octets).message_id == message_id_of(octets) == message_id


@pytest.mark.parametrize(
    ("message", "preview"),
    [
        (b"\r\nHello,\r\n\r\n  world", "Hello, world"),
        (b"Content-Type: text/html\r\n\r\n<style>x</style><p>One</p><p>T<b>w</b>o &amp; so</p>", "One Two & so"),
        (b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=", "hello"),
        (b"Content-Type: image/png\r\n\r\nAAAA", ""),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b\r\n\r\nplain",
            "plain",
        ),
        (
            b"Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\n\r\nthis",
            "this",
        ),
    ],
)
def test_preview(message: bytes, preview: str) -> None:
    assert summarise(message).preview == preview


def test_preview_is_short() -> None:
    assert len(summarise(b"\r\n" + b"word " * 10_000).preview) <= PREVIEW_LENGTH


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a<br>b", "a\nb"),
        ("<!-- no -->yes", "yes"),
        ("<!-- no", ""),
        ("<script>no</script >yes", "yes"),
        ("<style>no", ""),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("&lt;p&gt;", "<p>"),
        ('<a href="x">link</a>s', "links"),
        ("1<TD\nx=y>2</Td>3", "1\n2\n3"),
        ("p<b>l</b><Span>a</Span><pa>i<h7>n", "plain"),
    ],
)
def test_html(source: str, text: str) -> None:
    assert html_text(source) == text


BLOCKS = (
    "address", "article", "blockquote", "br", "center", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h6",
    "header", "hr", "li", "main", "nav", "ol", "option", "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead",
    "title", "tr", "ul",
)  # fmt: skip


@pytest.mark.parametrize("name", [case(name) for name in BLOCKS for case in (str.lower, str.upper, str.title)])
def test_every_block_of_html_stands_on_lines_of_its_own(name: str) -> None:
    assert html_text(f"a<{name}>b</{name} >c<{name}x>d") == "a\nb\ncd"


@pytest.mark.parametrize("piece", ["<", "<a", "<!--", "<script", "<script></script", "</p", "&", "&#", "<p ", "\n"])
def test_html_is_linear(piece: str) -> None:
    html_text(piece * 100_000)  # the test's timeout is the judge


def test_texts_of_a_body() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-16\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n//5oAGkA\r\n--b\r\nContent-Type: a/pdf; name=a.pdf\r\n\r\nxx\r\n--b--"
    )
    assert list(body_texts(message, parse(message))) == ["hi", "a.pdf"]


@pytest.mark.parametrize(
    ("one", "other"), [("CAFÉ", "cafe\u0301"), ("Straße", "STRASSE"), ("ﬁn", "FIN"), ("ΣΑΣ", "σας"), ("abc", "ABC")]
)
def test_what_is_the_same_in_a_search(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (b"", b'""'),
        (b"a", b'"a"'),
        (b'"\\', rb'"\"\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xff", b"{1}\r\n\xff"),
        (b"\0\0", b'""'),
        (b"\0\n", b"{1}\r\n\n"),
        (None, b"NIL"),
    ],
)
def test_strings(value: bytes | None, octets: bytes) -> None:
    assert nstring(value) == octets


def test_a_strangers_values_never_end_a_string() -> None:
    evil = bytes(range(256)) * 2
    written = string(evil)
    found = re.match(rb"\{(\d+)\}\r\n", written)
    assert found
    assert len(written) - found.end() == int(found[1])


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"\r\n", b"a: b\n\n\r\nx", b"a: b\r\n\n\nx", b"a\r\n\r\n", b"Content-Type: text/html\n\nx"]
)
def test_both_ways_to_read_the_header_agree(octets: bytes) -> None:
    assert header_end(octets) == parse(octets).body == summarise(octets).header_size
