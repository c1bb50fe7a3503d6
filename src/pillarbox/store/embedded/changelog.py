"""What changed in mailboxes, as octets for the index: runs of messages that got the same flags, and lists of UIDs.

A run (first, last, flags) concerns every message of the mailbox whose UID is in that range at that time.
Both end with a checksum in the shape of a run, or a pair, that concerns nothing; what older versions wrote has none.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise

from pillarbox.store.flags import Flags

Run = tuple[int, int, Flags]

_RUN = struct.Struct("<IIH")
_PAIR = struct.Struct("<II")
_NO_UID = 0xFFFFFFFF  # where a checksum stands as the last UID: no range begins here
_MOST = 50_000_000  # UIDs that one operation can have concerned: more is damage, and would fill the memory


def encode_flags(flags: Flags) -> str:
    """A set of flags as text; the empty set is ""."""
    return " ".join(sorted(flags)) if flags else ""


def decode_flags(text: str) -> Flags:
    """The set again."""
    return frozenset(text.split())


def encode_runs(runs: Iterable[Run]) -> bytes:
    """Runs as octets."""
    parts: list[bytes] = []
    texts: dict[Flags, bytes] = {}
    for first, last, flags in runs:
        text = texts.get(flags)
        if text is None:
            text = texts[flags] = encode_flags(flags).encode()
        parts += (_RUN.pack(first, last, len(text)), text)
    octets = b"".join(parts)
    return octets + _RUN.pack(_NO_UID, _checksum(octets), 0)


def decode_runs(octets: bytes) -> list[Run]:
    """The runs again. Raises ValueError when these octets are none."""
    runs: list[Run] = []
    at = 0
    while at < len(octets):
        if at + _RUN.size > len(octets):
            raise ValueError("changes in the index are cut off")
        first, last, length = _RUN.unpack_from(octets, at)
        if first == _NO_UID:
            _check(octets[:at], last)
            return runs
        at += _RUN.size
        if at + length > len(octets):
            raise ValueError("changes in the index are none")
        runs.append((first, last, decode_flags(octets[at : at + length].decode())))
        at += length
    return runs


def encode_uids(uids: Sequence[int]) -> bytes:
    """Ascending UIDs as pairs (first, last) of consecutive ones."""
    pairs = array("I", uids[:1])
    for before, after in pairwise(uids):
        if after != before + 1:
            pairs.extend((before, after))
    pairs.extend(uids[-1:])
    octets = little_endian(pairs).tobytes()
    return octets + _PAIR.pack(_NO_UID, _checksum(octets))


def decode_uids(octets: bytes) -> list[int]:
    """The UIDs again. Raises ValueError when these octets are none."""
    pairs = array("I", octets)
    if len(pairs) % 2:
        raise ValueError("UIDs in the index are cut off")
    pairs = little_endian(pairs)
    if pairs and pairs[-2] == _NO_UID:
        _check(octets[: -_PAIR.size], pairs[-1])
        del pairs[-2:]
    if list(pairs) != sorted(pairs) or sum(pairs[1::2]) - sum(pairs[::2]) > _MOST:
        raise ValueError("UIDs in the index are none")
    return [uid for i in range(0, len(pairs), 2) for uid in range(pairs[i], pairs[i + 1] + 1)]


def _checksum(octets: bytes) -> int:
    return zlib.crc32(octets) & 0xFFFFFFFE  # the greatest value would make the pair a range


def _check(octets: bytes, checksum: int) -> None:
    if _checksum(octets) != checksum:
        raise ValueError("a checksum in the index is wrong")


def little_endian(values: "array[int]") -> "array[int]":
    """The same numbers, to or from the byte order of files."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values
