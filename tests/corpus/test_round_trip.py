"""A corpus goes in by SMTP and comes out by POP3 and IMAP, octet for octet, trace fields aside."""

import imaplib
import poplib
import re
import smtplib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.corpus.generator import messages
from tests.demo import PASSWORD, Demo, running_demo

MIME_MESSAGES = Path(__file__).parents[3] / "shared" / "data" / "mime" / "mail-parser-rfc"

_TRACE = re.compile(rb"(?:(?:Return-Path|Received|Delivered-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+")

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with running_demo(tmp_path / "data") as demo:
        yield demo


def submit(demo: Demo, corpus: Sequence[bytes]) -> None:
    with smtplib.SMTP_SSL("localhost", demo.port("submissions"), context=demo.trust) as client:
        client.login(ALICE, PASSWORD)
        for message in corpus:
            options = ["BODY=8BITMIME"] if not message.isascii() else []
            assert client.sendmail(ALICE, [BOB], message, mail_options=options) == {}


def bring(demo: Demo, corpus: Sequence[bytes]) -> None:
    """As another server does, on port 25."""
    with smtplib.SMTP("localhost", demo.port("smtp")) as client:
        client.starttls(context=demo.trust)
        for message in corpus:
            client.sendmail("someone@elsewhere.example", [BOB], message, mail_options=["BODY=8BITMIME"])


def by_pop3(demo: Demo) -> Iterator[bytes]:
    client = poplib.POP3_SSL("localhost", demo.port("pop3s"), context=demo.trust)
    client.user(BOB)
    client.pass_(PASSWORD)
    _, listing, _ = client.list()
    for line in listing:
        number, size = map(int, line.split())
        _, lines, _ = client.retr(number)
        octets = b"".join(line + b"\r\n" for line in lines)
        assert len(octets) == size, "LIST says the exact size"
        yield octets
    client.quit()


def by_imap(demo: Demo) -> Iterator[bytes]:
    client = imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=demo.trust)
    client.login(BOB, PASSWORD)
    _, [count] = client.select("INBOX", readonly=True)
    for start in range(1, int(count) + 1, 50):
        _, answer = client.fetch(f"{start}:{min(start + 49, int(count))}", "(RFC822.SIZE BODY.PEEK[])")
        for item in answer:
            if isinstance(item, tuple):
                size = re.search(rb"RFC822.SIZE (\d+)", item[0])
                assert size is None or int(size[1]) == len(item[1]), "RFC822.SIZE is exact"
                yield item[1]
    client.logout()


def assert_the_same(fetched: Iterator[bytes], corpus: Sequence[bytes]) -> None:
    for count, (got, sent) in enumerate(zip(fetched, corpus, strict=True)):
        trace, rest = got[: len(got) - len(sent)], got[len(got) - len(sent) :]
        assert rest == sent, f"message {count} was changed"
        assert _TRACE.fullmatch(trace), f"message {count} got more than trace fields: {trace!r}"


def test_a_corpus_comes_out_as_it_went_in(demo: Demo) -> None:
    corpus = list(messages(7, 200, sender=ALICE, recipient=BOB))
    submit(demo, corpus)
    assert_the_same(by_pop3(demo), corpus)
    assert_the_same(by_imap(demo), corpus)


def test_messages_of_the_rfcs_come_out_as_they_went_in(demo: Demo) -> None:
    if not MIME_MESSAGES.is_dir():
        pytest.skip(f"the public test vectors are not at {MIME_MESSAGES}")
    files = sorted(MIME_MESSAGES.glob("*.eml"))
    corpus = [re.sub(rb"\r?\n", b"\r\n", f.read_bytes()) for f in files]
    corpus = [m if m.endswith(b"\r\n") else m + b"\r\n" for m in corpus]
    assert len(corpus) >= 10
    bring(demo, corpus)
    assert_the_same(by_pop3(demo), corpus)
    assert_the_same(by_imap(demo), corpus)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_messages_come_out_as_they_went_in(demo: Demo) -> None:
    corpus = list(messages(11, 10_000, sender=ALICE, recipient=BOB))
    for start in range(0, len(corpus), 500):
        submit(demo, corpus[start : start + 500])
    assert_the_same(by_pop3(demo), corpus)
    assert_the_same(by_imap(demo), corpus)
