"""Long octets, searched and counted piece by piece.

One call of `bytes.find` over 50 MB keeps the interpreter to itself for tens of milliseconds, also from a thread, and every
connection waits. Between two pieces others get their turn.
"""

from collections.abc import Callable
from functools import partial

PIECE = 1024 * 1024
"""Octets: half a millisecond, far below what a person or a peer notices."""


def find(octets: bytes, needle: bytes, start: int, stop: int) -> int:
    """`octets.find(needle, start, stop)`; start and stop are not negative."""
    while stop - start > PIECE:
        found = octets.find(needle, start, min(start + PIECE + len(needle) - 1, stop))
        if found >= 0:
            return found
        start += PIECE
    return octets.find(needle, start, stop)


def finder(octets: bytes) -> Callable[[bytes, int, int], int]:
    """`find` in these octets; for short ones it is their own, without a detour."""
    return octets.find if len(octets) <= PIECE else partial(find, octets)


def count(octets: bytes, octet: bytes, start: int, stop: int) -> int:
    """`octets.count(octet, start, stop)` of a single octet; start and stop are not negative."""
    total = 0
    while stop - start > PIECE:
        total += octets.count(octet, start, start + PIECE)
        start += PIECE
    return total + octets.count(octet, start, stop)
