"""What the words in the full-text index say of a message is what reading it says: messages of pieces that are hard, and needles
cut out of their texts."""

import random
from base64 import b64encode
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pillarbox.imap.search.scope import Candidate
from pillarbox.imap.search.text_keys import BodyHas, TextHas
from pillarbox.mail.full_text import MAX_TEXT, full_text
from pillarbox.mail.header import MAX_HEADER
from pillarbox.mail.search_text import folded
from pillarbox.store.embedded.text_index import is_within_a_word
from pillarbox.store.embedded.words import words

PIECES = [
    b"Subject: =?utf-8?q?K=C3=A4se?=", b"subject: \xc3\xa4 \xff\r\n folded\r\n\tmore", b"X-Nul: a\0b", b"no field",
    b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/digest; boundary=c", b"content-type: text/html",
    b"Content-Type: text/plain; charset=utf-16", b"Content-Type: text/plain; charset=utf-7", b"Content-Type: message/rfc822",
    b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable", b"Content-Disposition: attachment; filename*=utf-8''R%C3%A9sum%C3%A9.txt",
    b'Content-Type: image/png; name="=?utf-8?b?5Lit5paH?=.png"', b"--b", b"--b--", b"--c", b"--c--", b"", b"", b"",
    "Grüße \u00a8x\u00a8 \ufdfa \ufb01n \u0301vor İstanbul ΣΊΣΥΦΟΣ 中文\u3000字".encode(), b"caf=C3=A9 =D8 soft=\r\nbreak",
    b64encode("日本語 <b>bold</b>".encode()), b"<p>bo<b>l</b>d&eacute; &#0; &#xD800; <!-- gone --> <style>no</style>",
    b"a\0b \x85 \xa0 \x1c \x0b", b"+2AA- half +3AA-", b"\xd8\x00\x00a", b"? ?? 1 22 333",
]  # fmt: skip


def check(octets: bytes, needles: list[str]) -> None:
    found = words(1, full_text(octets))
    if not found.is_whole:
        return
    header, body = found.header.decode(), found.body.decode()
    candidate = Candidate(Mock(), octets=octets)
    for needle in needles:
        if is_within_a_word(needle):
            assert BodyHas(needle).accepts(candidate) == (needle in body), needle
            assert TextHas(needle).accepts(candidate) == (needle in header or needle in body), needle


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=14), st.randoms(use_true_random=False)
)
@example([b"X: " + b"y " * (MAX_HEADER // 2) + b"end", b"Z: zet", b"", b"body"], random.Random(1))
@example([b"X: y"] * (MAX_HEADER // 8) + [b"Z: zet", b"Content-Type: text/html", b"", b"<b>body"], random.Random(1))
def test_words_say_what_reading_says(pieces: list[bytes], source: random.Random) -> None:
    octets = b"\r\n".join(pieces)
    candidate = Candidate(Mock(), octets=octets)
    needles = ["a", "b", "?", "é", "中", "中文", "\u0308", "zet", "end", "body", "half", "soft", "gone"]
    for text in (candidate.header_text, *candidate.body):
        for _ in range(10):
            start = source.randrange(len(text) + 1)
            needles.append(folded(text[start : start + source.choice((1, 1, 2, 3, 5, 9))]))
    check(octets, needles)


@pytest.mark.parametrize("length", [MAX_TEXT - 100, MAX_TEXT + 100])
def test_the_end_of_a_long_text(length: int) -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
        + b"x" * length
        + b"\r\n--b\r\n\r\nend\r\n--b--\r\n"
    )
    assert full_text(octets).is_whole == (length < MAX_TEXT)
    check(octets, ["end", "x", "xe", "b"])
