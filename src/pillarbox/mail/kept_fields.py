"""Kept fields: the header fields that clients list, kept apart from their message, and a table of where each stands.

One string of octets: its first octet is k, so many octets are k and the kinds of the fields (indices into NAMES); then k
offsets into the string, 16 bits each, least octet first: where each field begins, and where the last one ends; then the fields
as they stand in the message. A mailbox has few different sequences of kinds, so what to take for some names is worked out
once for each, and a listing reads offsets where it would have to look through all octets. k = 0: there is no table, since a
field has no place in one (many fields, a long header), or an older version kept them.

Security: strangers wrote the fields, and the disk may have changed the table. Nothing here raises on any octets.
"""

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

from pillarbox.mail.header import select

NAMES = tuple(
    b"from to cc bcc sender reply-to subject date message-id in-reply-to references content-type mime-version "
    b"content-transfer-encoding content-language list-id list-post list-unsubscribe list-unsubscribe-post precedence "
    b"auto-submitted importance x-priority priority received-spf authentication-results dkim-signature newsgroups "
    b"return-path delivered-to disposition-notification-to x-mailer user-agent x-spam-status x-spam-flag "
    b"autocrypt resent-date resent-from resent-to organization".split()
)
"""Names (lower case) of the fields that are kept: what clients ask for in HEADER.FIELDS. The order is frozen, since tables
hold indices. A new name goes to the end, and the summaries of older versions lack its fields."""

KINDS = {name: kind for kind, name in enumerate(NAMES)}
"""The kind of a field by its name."""

NONE = b"\1\3\0"
"""Of a message without such fields."""

_MAX_PLANS = 512

_Edges = Callable[[bytes], tuple[int, ...]]

_wanted_run = re.compile(b"\1+").finditer


def keep(kinds: Sequence[int], fields: Sequence[bytes]) -> bytes:
    """Fields of these kinds, each with its line end, as they are kept."""
    k = len(kinds) + 1
    try:
        table = _table(k)(k, *kinds, *accumulate(map(len, fields), initial=3 * k))
    except struct.error:  # too many, or too long
        return without_table(b"".join(fields))
    return b"".join((table, *fields))


def without_table(fields: bytes) -> bytes:
    """The same of fields whose places are not known."""
    return b"\0" + fields


def octets_of(kept: bytes) -> bytes:
    """The fields as they stand in the message, one behind the other."""
    return kept[3 * kept[0] or 1 :] if kept else b""


def choose_each(each: Iterable[bytes], names: frozenset[bytes]) -> list[bytes]:
    """Of many messages' kept fields those of these names (lower case, all in NAMES): in order, with an empty line."""
    plans, wanted = _plans(names)
    chosen: list[bytes] = []
    for kept in each:
        try:
            edges = plans.get(kept[: kept[0]]) or _plan(kept, plans, wanted)
            if edges is None:
                chosen.append(select(octets_of(kept), names))
                continue
            fields = b""
            at = iter(edges(kept))
            for start in at:
                fields += kept[start : next(at)]
            chosen.append(fields + b"\r\n")
        except (IndexError, struct.error):  # damaged
            chosen.append(select(octets_of(kept), names))
    return chosen


@lru_cache(maxsize=64)
def _table(k: int) -> Callable[..., bytes]:
    """What packs a table of k - 1 fields."""
    return struct.Struct(f"<{k}B{k}H").pack


@lru_cache(maxsize=64)
def _plans(names: frozenset[bytes]) -> tuple[dict[bytes, _Edges], bytes]:
    """For each sequence of kinds what reads the edges of the fields of these names: filled as they come. And a translation of
    kinds, 1 for each that is wanted."""
    return {}, bytes(kind < len(NAMES) and NAMES[kind] in names for kind in range(256))


def _plan(kept: bytes, plans: dict[bytes, _Edges], wanted: bytes) -> _Edges | None:
    """One more for the plans. None when there is no table."""
    kinds = kept[: kept[0]]
    if not kinds:
        return None
    if len(plans) >= _MAX_PLANS:
        plans.clear()
    plans[kinds] = edges = _edges(kinds[1:].translate(wanted))
    return edges


@lru_cache(maxsize=1024)
def _edges(wanted: bytes) -> _Edges:
    """What reads, from a table of so many fields, where each run of wanted ones (1) begins and ends."""
    layout, at = f"<{len(wanted) + 1}x", 0
    for run in _wanted_run(wanted):
        for edge in run.span():
            layout += f"{2 * (edge - at)}xH"
            at = edge + 1
    return struct.Struct(layout).unpack_from
