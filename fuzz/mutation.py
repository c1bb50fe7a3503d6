"""Damage to kept inputs, without knowledge of the code: for Pythons that atheris has no wheel for, and for the tests."""

import random
from collections.abc import Iterator, Sequence


def damaged(seeds: Sequence[bytes], words: Sequence[bytes], source: random.Random, longest: int) -> Iterator[bytes]:
    """Inputs without end: seeds with octets changed, cut, repeated, joined, and with words of the dictionary in them."""
    while True:
        octets = bytearray(source.choice(seeds))
        for _ in range(source.randint(1, 6)):
            _damage(octets, seeds, words, source)
        yield bytes(octets[:longest])


def _damage(octets: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], source: random.Random) -> None:
    place = source.randrange(len(octets) + 1)
    match source.randrange(6):
        case 0:
            octets[place : place + 1] = bytes((source.randrange(256),))
        case 1:
            del octets[place : place + source.randint(1, 8)]
        case 2:
            octets[place:place] = octets[place : place + source.randint(1, 40)] * source.randint(1, 3)
        case 3:
            other = source.choice(seeds)
            octets[place:] = other[source.randrange(len(other) + 1) :]
        case 4 if words:
            octets[place : place + source.choice((0, 0, 4))] = source.choice(words)
        case _:
            octets[place : place + 1] = source.choice((b"\r\n", b"\0", b"\xff", b"\r", b'"', b"9" * 20, b"\x80"))
