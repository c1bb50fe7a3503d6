"""Searching and counting by the piece finds what one call would find."""

import random

import pytest

from pillarbox.mail import pieces
from pillarbox.mail.summary import summarise


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_like_one_call(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", size)
    rng = random.Random(size)
    for _ in range(300):
        octets = bytes(rng.choices(b"\n-ab", k=rng.randrange(60)))
        needle = bytes(rng.choices(b"\n-ab", k=rng.randint(1, 4)))
        start, stop = rng.randrange(70), rng.randrange(70)
        assert pieces.find(octets, needle, start, stop) == octets.find(needle, start, stop), (
            octets,
            needle,
            start,
            stop,
        )
        assert pieces.count(octets, needle[:1], start, stop) == octets.count(needle[:1], start, stop)


def test_a_message_longer_than_a_piece_has_the_same_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"Dear all,\r\n\r\n--mi\r\n" * 50
    message = (
        b'From: a@example.org\r\nContent-Type: multipart/mixed; boundary="mix"\r\n\r\n'
        b"--mix\r\n\r\n"
        + text
        + b"\r\n--mix\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n"
        + text
        + b"--mix--\r\n"
    )
    whole = summarise(message)
    for size in (1, 5, 64):
        monkeypatch.setattr(pieces, "PIECE", size)
        assert summarise(message) == whole
