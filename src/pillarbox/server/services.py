"""Which engine answers at which port: each room's Policy is filled from the configuration here, and nowhere else."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_network

from pillarbox.access import policy as access
from pillarbox.access.service import Access
from pillarbox.imap import policy as imap
from pillarbox.imap.engine import ImapEngine
from pillarbox.net.channel_binding import SecretPipe
from pillarbox.net.connections import Service
from pillarbox.net.tls import ServerTls, TlsProfile
from pillarbox.observe.scrape import REFUSAL, MetricsEngine
from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.sasl.registry import fresh_nonce
from pillarbox.server.settings import Config
from pillarbox.smtp import policy as smtp
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.service import MailService
from pillarbox.store.api import Store
from pillarbox.transfer import policy as transfer
from pillarbox.transfer.checks.rate import Sent
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Engine, Link

_REFUSALS = {
    "smtp": b"421 4.3.2 Too many connections; try again later\r\n",
    "pop3": b"-ERR [SYS/TEMP] Too many connections; try again later\r\n",
    "imap": b"* BYE [UNAVAILABLE] Too many connections; try again later\r\n",
}
"""Never an authentication error: programs would forget the password, or wait for an hour."""

PROTOCOLS = {
    "smtp": "smtp",
    "submissions": "smtp",
    "submission": "smtp",
    "pop3": "pop3",
    "pop3s": "pop3",
    "imap": "imap",
    "imaps": "imap",
}
"""What each listener speaks; also the name it offers by ALPN."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What services are made of. `host_name` is the resolved name of this server. `locks` and
    `sent`, what was written lately, outlive a new configuration."""

    config: Config
    host_name: str
    store: Store
    access: Access
    locks: MaildropLocks
    sent: Sent


def make_services(parts: Parts) -> dict[str, Service]:
    """The service of each listener that is enabled."""
    engines = _engines(parts)
    secrets = SecretPipe() if parts.config.tls.channel_binding else None

    def tls(name: str) -> ServerTls:
        return ServerTls(TlsProfile(PROTOCOLS[name], name != "smtp", None if name == "smtp" else secrets))

    return {
        name: Service(
            name=name,
            engine=engines[name],
            tls=tls(name) if listener.security != "none" else None,
            implicit_tls=listener.security == "implicit",
            login=name != "smtp",
            messages=PROTOCOLS[name] == "smtp",
            refusal=_REFUSALS[PROTOCOLS[name]],
            proxies=tuple(map(ip_network, listener.proxy_from)),
        )
        for name, listener in parts.config.listeners.named().items()
        if listener.enabled
    }


def metrics_service(page: Callable[[], Awaitable[str]]) -> Service:
    """The metrics page. Its connections count among those that have not logged in: the newest one always gets a place, and
    none lasts long."""
    return Service("metrics", lambda link: MetricsEngine(link, page), login=True, refusal=REFUSAL)


def access_policy(config: Config) -> access.Policy:
    """How passwords are verified and guessers slowed down."""
    given = config.access
    return access.Policy(
        block=access.Budget(given.block_burst, given.block_refill),
        account=access.Budget(given.account_burst, given.account_refill),
        familiar=access.Budget(given.familiar_burst, given.familiar_refill),
        familiar_for=given.familiar_days * 86400.0,
        ipv4_block=given.ipv4_block,
        ipv6_block=given.ipv6_block,
        never_refused=tuple(given.never_refused),
        first_delay=given.first_delay,
        longest_delay=given.longest_delay,
        local_delay=given.never_refused_delay,
        verified_for=given.verified_for,
        workers=given.argon2_at_once,
        queue=given.argon2_waiting,
        queue_reserved=given.argon2_waiting // 4,
        per_block=given.argon2_per_block,
        line=given.logins_in_line,
        remembered=given.remembered,
    )


def transfer_policy(config: Config, host_name: str) -> transfer.Policy:
    """How mail is received, submitted and delivered."""
    return transfer.Policy(
        hostname=host_name,
        postmaster=config.postmaster,
        relay_to=config.relay.everything_to or None,
        save_sent=config.submission.save_sent,
        show_client_address=config.submission.show_client_address,
        recipients_per_hour=config.submission.recipients_per_hour,
        recipients_per_day=config.submission.recipients_per_day,
    )


def _engines(parts: Parts) -> dict[str, Callable[[Link], Engine]]:
    store, limits = parts.store, parts.config.limits
    credentials = parts.access.credentials
    policy = transfer_policy(parts.config, parts.host_name)
    submission = Submission(store, policy, sent=parts.sent)
    imap_policy = imap.Policy(max_message=limits.message_size)

    def imap_engine(link: Link) -> Engine:
        return ImapEngine(link, store, credentials(link), imap_policy, nonce=fresh_nonce, clock=time.time)

    def pop3_engine(link: Link) -> Engine:
        return Pop3Engine(link, store, credentials(link), locks=parts.locks, nonce=fresh_nonce)

    return {
        "smtp": _smtp_engine(parts, "smtp", Reception(store, policy)),
        "submissions": _smtp_engine(parts, "submissions", submission),
        "submission": _smtp_engine(parts, "submission", submission),
        "pop3": pop3_engine,
        "pop3s": pop3_engine,
        "imap": imap_engine,
        "imaps": imap_engine,
    }


def _smtp_engine(parts: Parts, name: str, service: MailService) -> Callable[[Link], Engine]:
    config, credentials = parts.config, parts.access.credentials
    submission = name != "smtp"
    policy = smtp.Policy(
        hostname=parts.host_name,
        submission=submission,
        starttls=config.listeners.named()[name].security == "starttls",
        max_message=config.limits.message_size,
        max_recipients=config.limits.recipients,
    )

    def engine(link: Link) -> Engine:
        return SmtpEngine(link, service, policy, credentials(link) if submission else None)

    return engine
