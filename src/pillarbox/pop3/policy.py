"""What the administrator decides about POP3, and the limits that protect the server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Octets include the line's end. Times in seconds."""

    command_line: int = 1024
    """RFC 2449 §4 allows 255 octets; names and passwords in UTF-8, and clients that cannot count, need more."""

    sasl_line: int = 12288
    """A line of an AUTH exchange, or AUTH with an initial response (RFC 5034 §4): tokens are long."""

    skipped: int = 64 * 1024
    """Octets of a line that is too long and does not end."""

    piece: int = 1024 * 1024
    """Octets of a message read and sent at a time: most messages are one piece; large ones never fill the memory."""

    bad_commands: int = 5
    """Commands before login that are no POP3, until the connection is closed: other protocols' clients, and browsers
    that attackers steer (ALPACA). After login a hundred times as many: somebody types."""

    commands_before_login: int = 100
    """Commands of any kind: real clients need less than ten, and asking for CAPA for ever shall not keep a place."""

    failed_logins: int = 3
    """On one connection; `access` throttles across connections."""

    login_timeout: float = 180.0
    """Silence before login. The autologout timer of RFC 1939 §3 protects sessions; strangers do not have one yet."""

    timeout: float = 600.0
    """Silence after login: the shortest that RFC 1939 §3 allows, because the maildrop is locked meanwhile."""
