"""How relaying behaves: where to, when again, how much at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pillarbox.smtp.client.policy import Login, TlsMode

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Smarthost:
    """A server that takes mail on for us. `tls` REQUIRED is STARTTLS with a checked certificate, IMPLICIT is port 465."""

    host: str
    port: int = 587
    tls: TlsMode = TlsMode.REQUIRED
    login: Login | None = None

    @property
    def key(self) -> str:
        """What messages for it are grouped by; no domain looks like this."""
        return f"smarthost {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to try again, in seconds (RFC 5321 §4.5.4.1: at least 30 minutes between tries in the long run, 4-5 days).

    The first wait is short because greylisting ends within minutes; each wait is `factor` times the one before, up to
    `longest`, shortened or lengthened at random by up to `jitter`, so that a recovered server is not hit all at once.
    """

    first: float = 5 * MINUTE
    factor: float = 2.0
    longest: float = 4 * HOUR
    jitter: float = 0.1
    lifetime: float = 5 * DAY
    warn_after: float = 4 * HOUR


@dataclass(frozen=True, slots=True)
class Policy:
    """`host_name`: our own name. `port`: where other servers are reached (25 everywhere but in experiments).

    `smarthost` takes all mail unless `smarthosts` names another, or None for direct delivery, for the recipient's domain.
    `own_names` and `own_addresses` are this server's: mail is never relayed to them. `families`: in this order; IPv4
    first, because many servers refuse IPv6 without matching reverse DNS.
    """

    host_name: str = "localhost"
    port: int = 25
    smarthost: Smarthost | None = None
    smarthosts: Mapping[str, Smarthost | None] = field(default_factory=dict)
    own_names: frozenset[str] = frozenset()
    own_addresses: frozenset[str] = frozenset()
    families: tuple[str, ...] = ("ipv4", "ipv6")
    schedule: Schedule = Schedule()
    concurrency: int = 50  # sessions at a time
    per_destination: int = 10  # sessions at a time to one destination: more makes others throttle us
    entries: int = 1000  # messages taken from the queue at a time: one slow destination must not block the rest
    recipients: int = 100  # in one transaction: every server takes so many (RFC 5321 §4.5.3.1.8)
    returned: int = 64 * 1024  # a message up to so many octets comes back whole in a bounce, else its header only
    grace: float = 5.0  # seconds that running attempts get to finish when the server stops
    store_retry: float = 10.0  # seconds until an outcome that could not be recorded is recorded again

    def smarthost_for(self, domain: str) -> Smarthost | None:
        """Which smarthost takes mail for this domain, if any."""
        return self.smarthosts.get(domain, self.smarthost)

    def destination(self, domain: str) -> str:
        """What recipients are grouped by."""
        smarthost = self.smarthost_for(domain)
        return domain if smarthost is None else smarthost.key
