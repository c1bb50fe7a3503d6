"""The corpus is what it says: the same for the same seed, well-formed for transport, sizes around 8 KB."""

from statistics import median

from tests.corpus.generator import _KINDS, messages

ADDRESSES = {"sender": "a@example.test", "recipient": "b@example.test"}


def test_the_same_seed_gives_the_same_octets() -> None:
    assert list(messages(1, 20, **ADDRESSES)) == list(messages(1, 20, **ADDRESSES))
    assert list(messages(1, 20, **ADDRESSES)) != list(messages(2, 20, **ADDRESSES))


def test_every_message_can_be_transported() -> None:
    for message in messages(3, 400, **ADDRESSES):
        assert message.endswith(b"\r\n")
        assert b"\0" not in message
        assert message.count(b"\r") == message.count(b"\n") == message.count(b"\r\n")
        assert max(map(len, message.split(b"\r\n"))) <= 998


def test_sizes_and_kinds_are_those_of_a_working_life() -> None:
    corpus = list(messages(4, 600, **ADDRESSES))
    assert 4_000 < median(map(len, corpus)) < 12_000
    assert max(map(len, corpus)) > 60_000
    kinds = {next(line for line in m.split(b"\r\n") if line.startswith(b"Subject")).split()[1].decode() for m in corpus}
    assert kinds == set(_KINDS)
