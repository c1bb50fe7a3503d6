"""Policy: what the administrator decides about one SMTP listener, and the limits that protect it.

The defaults suit port 25; submission differs in `submission=True` only.
"""

from dataclasses import dataclass

from pillarbox.sasl.registry import MECHANISMS


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules of one listener. Sizes in octets, times in seconds.

    `hostname` is the name in the greeting. `postmaster_domain` is where `RCPT TO:<postmaster>` goes ("" for hostname).
    `starttls` says whether TLS can be started on this listener (there is a certificate, and TLS is not implicit).
    `mechanisms`: names of SASL mechanisms that are offered, best first.
    """

    hostname: str = "localhost"
    postmaster_domain: str = ""
    submission: bool = False
    starttls: bool = True
    mechanisms: tuple[str, ...] = tuple(MECHANISMS)

    max_message: int = 50 * 1024 * 1024
    """Announced as SIZE; what other large providers take, attachments grow by a third in base64."""

    max_header: int = 256 * 1024
    """A header block above this is an attack or a bug; real ones stay below 64 kB."""

    max_recipients: int = 100
    """RFC 5321 §4.5.3.1.8 demands at least 100; more come in further transactions."""

    max_command: int = 2048
    """RFC 5321 §4.5.3.1.4 demands 512, extensions add up to about 1,500."""

    max_auth_line: int = 12288
    """RFC 4954 §4."""

    max_skipped: int = 64 * 1024
    """Octets of a line that is too long and does not end: real ones are some kilobytes (a client's whole address book)."""

    max_commands: int = 1000
    """Commands since the last accepted message: ten times the recipients of one, and no end to NOOP, RSET and VRFY."""

    max_errors: int = 10
    """Malformed or misplaced commands in one session before it ends: no mail program makes so many."""

    max_refused_recipients: int = 50
    """Refused recipients since the last accepted message before the session ends: somebody is guessing names."""

    max_auth_failures: int = 3
    """Wrong passwords before the connection ends; who guesses has to start anew and is throttled by address."""

    command_timeout: float = 300.0
    """RFC 5321 §4.5.3.2.7."""

    data_timeout: float = 180.0
    """RFC 5321 §4.5.3.2.5: between blocks of data."""
