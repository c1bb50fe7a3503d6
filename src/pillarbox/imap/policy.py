"""What the administrator decides about IMAP, and the limits that protect the server (RFC 9051 §5.4, §11)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """Octets: of one command with its literals, and of one literal."""

    command: int
    literal: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers that keep one client from harming the others."""

    before_login: CommandLimits = CommandLimits(8 * 1024, 4 * 1024)  # enough for any LOGIN or SASL response
    after_login: CommandLimits = CommandLimits(1024 * 1024, 100 * 1024)  # long UID sets and SEARCH strings
    literals: int = 1000  # in one command: one APPEND of many messages
    bad_commands_before_login: int = 3  # other protocols' clients, and browsers that attackers steer (ALPACA)
    commands_before_login: int = 100  # real clients need less than ten; NOOP for ever shall not keep a place
    failed_logins: int = 5  # on one connection; `access` throttles across connections
    login_seconds: float = 60.0
    idle_seconds: float = 30 * 60.0  # RFC 9051 §5.4: at least 30 minutes
    still_here_seconds: float = 120.0  # in IDLE: shorter than the timeouts of home routers and mobile networks


@dataclass(frozen=True, slots=True)
class Policy:
    """`max_message`: octets of one APPENDed message. `hidden` are capabilities that are not announced."""

    limits: Limits = field(default_factory=Limits)
    max_message: int = 50 * 1024 * 1024
    hidden: frozenset[str] = frozenset()
