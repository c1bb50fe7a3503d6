"""Summaries as octets: what the index keeps of each blob beside the octets themselves.

Version 2 has the kept fields with their table; in version 1 the fields stand alone. Both are read, 2 is written.
"""

import hashlib
import struct
from collections.abc import Iterable

from pillarbox.mail.kept_fields import without_table
from pillarbox.mail.summary import Listed, Summary

_HEAD = struct.Struct("<B6Iq")  # version, five lengths, header_size, sent
_HEAD_SIZE = _HEAD.size
_VERSION = 2
_WITHOUT_TABLE = 1
_NOT_SENT = -(1 << 63)

_head = _HEAD.unpack_from


def pack(summary: Summary) -> bytes:
    """A summary as octets."""
    message_id = summary.message_id.encode("utf-8", "surrogatepass")
    preview = summary.preview.encode("utf-8", "surrogatepass")
    envelope, structure, kept = summary.envelope, summary.bodystructure, summary.kept
    sent = summary.sent
    head = _HEAD.pack(
        _VERSION, len(envelope), len(structure), len(kept), len(message_id), len(preview),
        summary.header_size, _NOT_SENT if sent is None else max(_NOT_SENT + 1, min(sent, (1 << 63) - 1)),
    )  # fmt: skip
    return b"".join((head, envelope, structure, kept, message_id, preview))


def unpack(octets: bytes) -> Summary:
    """The summary again. Raises ValueError when these octets are none."""
    try:
        version, envelope, structure, kept, message_id, preview, header_size, sent = _HEAD.unpack_from(octets)
    except struct.error:
        raise ValueError("a summary in the index is cut off") from None
    if version not in (_VERSION, _WITHOUT_TABLE):
        raise ValueError(f"a summary in the index has the unknown version {version}")
    a = _HEAD_SIZE
    b = a + envelope
    c = b + structure
    d = c + kept
    e = d + message_id
    if e + preview != len(octets):
        raise ValueError("a summary in the index is not whole")
    return Summary(
        octets[a:b],
        octets[b:c],
        octets[c:d] if version == _VERSION else without_table(octets[c:d]),
        header_size,
        octets[d:e].decode("utf-8", "surrogatepass"),
        None if sent == _NOT_SENT else sent,
        octets[e : e + preview].decode("utf-8", "surrogatepass"),
    )


def unpack_listed(packed: Iterable[bytes]) -> list[Listed]:
    """What listings show of many summaries: at half of what `unpack` costs. Raises ValueError as it does."""
    found: list[Listed] = []
    for octets in packed:
        try:
            version, envelope, structure, kept, message_id, preview, header_size, _ = _head(octets)
        except struct.error:
            raise ValueError("a summary in the index is cut off") from None
        a = _HEAD_SIZE + envelope
        b = a + structure
        c = b + kept
        if c + message_id + preview != len(octets):
            raise ValueError("a summary in the index is not whole")
        if version == _VERSION:
            found.append((octets[_HEAD_SIZE:a], octets[a:b], octets[b:c], header_size))
        elif version == _WITHOUT_TABLE:
            found.append((octets[_HEAD_SIZE:a], octets[a:b], without_table(octets[b:c]), header_size))
        else:
            raise ValueError("a summary in the index has an unknown version")
    return found


def message_id_hash(message_id: str) -> int | None:
    """What a Message-ID is found by: 64 bits, None when there is none."""
    if not message_id:
        return None
    digest = hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
