"""Trace fields: Received, Return-Path (RFC 5321 §4.4), and what we remove of other people's.

Security: strangers chose the HELO name and the addresses; nothing of theirs can end a line or a comment.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import ip_address

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope
from pillarbox.smtp.service import Client

_RECEIVED = re.compile(rb"(?im)^received[ \t]*:")
_RESULTS = re.compile(rb"(?im)^authentication-results[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[A-Za-z0-9:.]+\]")


@lru_cache(maxsize=4)
def date_time(seconds: int) -> str:
    """Epoch seconds in the form of the Date field (RFC 5322 §3.3), in UTC."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def hops(header: bytes) -> int:
    """How many Received fields a header has."""
    return len(_RECEIVED.findall(header))


def received(
    client: Client, envelope: Envelope, *, hostname: str, queue_id: str, now: float, show_client: bool
) -> bytes:
    """The Received field for a message that has just come in."""
    tls = client.link.tls
    with_tls = f" ({tls.version} {tls.cipher})" if tls is not None else ""
    paths = envelope.forward_paths
    for_whom = f" for <{paths[0].address}>" if len(paths) == 1 else ""  # never tells one recipient of another
    clauses = [
        *([_from(client)] if show_client else []),
        f"by {hostname} with {client.protocol}{with_tls}",
        f"id {queue_id}{for_whom};",
        date_time(int(now)),
    ]
    return ("Received: " + "\r\n\t".join(clauses) + "\r\n").encode("utf-8", "replace")


def without_own_results(header: bytes, authserv_id: str) -> bytes:
    """The header without Authentication-Results fields that claim to be ours (RFC 8601 §5).

    Comments and quoting can hide a name's place in the field, so a field goes when it names us anywhere as a whole word.
    """
    if b"authentication-results" not in header.lower():
        return header
    ours = re.compile(rb"(?i)(?<![\w.-])" + re.escape(authserv_id.encode()) + rb"(?![\w.-])")
    return _RESULTS.sub(lambda found: b"" if ours.search(found[0].replace(b"\\", b"")) else found[0], header)


def return_path(reverse_path: Address | None) -> bytes:
    """The Return-Path field of a final delivery."""
    return f"Return-Path: <{reverse_path or ''}>\r\n".encode()


def _from(client: Client) -> str:
    helo = client.helo if _PLAIN_HOST.fullmatch(client.helo) else "unknown"
    return f"from {helo}{_tcp_info(client.link.peer)}"


@lru_cache(maxsize=1024)
def _tcp_info(peer: str) -> str:
    """The peer's address as a literal (RFC 5321 §4.1.3), nothing when it is no IP address."""
    try:
        return f" ([{'IPv6:' if ip_address(peer).version == 6 else ''}{peer}])"
    except ValueError:
        return ""
