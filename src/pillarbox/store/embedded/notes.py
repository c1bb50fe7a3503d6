"""Notes: what a record in a segment says about where its message was delivered, so that mail can be found without an index.

One line for each delivery: address, mailbox, internal date, flags, with tabs between; names hold no control characters.
A line that begins with "queue " names the queue entry that a message was relayed as.
"""

from collections.abc import Iterable

import msgspec

from pillarbox.store.embedded.changelog import decode_flags, encode_flags
from pillarbox.store.flags import Flags


class Delivered(msgspec.Struct, frozen=True):
    """Into which mailbox a message came, and how."""

    address: str
    mailbox: str
    internaldate: int
    flags: Flags


def encode(deliveries: Iterable[Delivered], queue_id: str = "") -> str:
    """A note as text."""
    lines = [f"{d.address}\t{d.mailbox}\t{d.internaldate}\t{encode_flags(d.flags)}" for d in deliveries]
    return "\n".join([*lines, f"queue {queue_id}"] if queue_id else lines)


def decode(note: bytes) -> list[Delivered]:
    """The deliveries that a note names; lines that are none are left out."""
    found = []
    for line in note.decode("utf-8", "replace").split("\n"):
        address, mailbox, date, flags, *_ = [*line.split("\t"), "", "", "", ""]
        if address and mailbox and date.isascii() and date.isdecimal():
            found.append(Delivered(address, mailbox, int(date[:18]), decode_flags(flags)))
    return found
