"""Envelope: who a message is from and for, apart from its header (RFC 5321 §2.3.1)."""

from collections.abc import Mapping

import msgspec

from pillarbox.mail.address import Address

NULL_PATH: None = None
"""The null reverse-path `<>`: a message that must never be bounced (RFC 5321 §4.5.5)."""


class ForwardPath(msgspec.Struct, frozen=True):
    """One RCPT TO: the address and its parameters (upper-case keyword to value)."""

    address: Address
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)


class Envelope(msgspec.Struct):
    """One mail transaction's envelope. `reverse_path` is None for `<>`."""

    reverse_path: Address | None
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    forward_paths: list[ForwardPath] = msgspec.field(default_factory=list)
