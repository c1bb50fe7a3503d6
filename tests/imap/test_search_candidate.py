"""A message that is looked at: each of its texts is decoded once, and only when a key gets to it."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from pillarbox.imap.search import scope
from pillarbox.imap.search.scope import Candidate
from pillarbox.imap.search.text_keys import BodyHas, TextHas
from pillarbox.mail.mime import Part
from pillarbox.mail.text import body_texts

OCTETS = b"Subject: Zero\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
    b"--b\r\n\r\n%b\r\n" % text for text in (b"One", b"Two", b"Three")
)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was decoded so far."""
    texts: list[str] = []

    def noted(octets: bytes, tree: Part) -> Iterator[str]:
        for text in body_texts(octets, tree):
            texts.append(text)
            yield text

    monkeypatch.setattr(scope, "body_texts", noted)
    return texts


def test_texts_behind_the_one_that_is_found_are_not_decoded(decoded: list[str]) -> None:
    candidate = Candidate(Mock(), octets=OCTETS)
    assert TextHas("zero").accepts(candidate)
    assert decoded == []
    assert BodyHas("one").accepts(candidate)
    assert decoded == ["One"]


def test_no_text_is_decoded_twice(decoded: list[str]) -> None:
    candidate = Candidate(Mock(), octets=OCTETS)
    for needle, found in (("two", True), ("one", True), ("four", False), ("three", True), ("four", False)):
        assert BodyHas(needle).accepts(candidate) == found
    assert decoded == ["One", "Two", "Three\r\n"]
