"""What can be configured: every setting with its type, its default, and beside it its meaning for people."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from pillarbox.access.blocks import LOCAL

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Security = Literal["implicit", "starttls", "none"]


class Listener(Struct, frozen=True, forbid_unknown_fields=True):
    """One port that the server listens on."""

    port: Annotated[Port, Meta(description="The port; 0 takes any free one.")] = 0
    host: Annotated[str, Meta(description='The address to listen on; "*" is every IPv4 and IPv6 address.')] = "*"
    enabled: Annotated[bool, Meta(description="Whether this port is opened at all.")] = True
    security: Annotated[
        Security,
        Meta(
            description="`implicit`: TLS from the first octet. `starttls`: plaintext until the client asks for TLS, and no "
            "password before that. `none`: no TLS at all; refused wherever people log in."
        ),
    ] = "starttls"
    proxy_from: Annotated[
        list[str],
        Meta(
            description="Networks of load balancers (HAProxy and others) that send the PROXY protocol, version 1 or 2, before "
            "all else: the client's address is taken from it. Others are refused at this port then."
        ),
    ] = field(default_factory=list)


class Listeners(Struct, frozen=True, forbid_unknown_fields=True):
    """The seven ports of a mail server."""

    smtp: Annotated[Listener, Meta(description="Mail from other servers; nobody logs in here.")] = Listener(25)
    submissions: Annotated[Listener, Meta(description="Mail from your users' programs (RFC 8314).")] = Listener(
        465, security="implicit"
    )
    submission: Annotated[Listener, Meta(description="The same, for programs that need STARTTLS.")] = Listener(587)
    pop3: Annotated[Listener, Meta(description="POP3, password only after STLS.")] = Listener(110)
    pop3s: Annotated[Listener, Meta(description="POP3 within TLS.")] = Listener(995, security="implicit")
    imap: Annotated[Listener, Meta(description="IMAP, password only after STARTTLS.")] = Listener(143)
    imaps: Annotated[Listener, Meta(description="IMAP within TLS: what most people use.")] = Listener(
        993, security="implicit"
    )

    def named(self) -> dict[str, Listener]:
        """Listeners by their names."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A further certificate, for clients that ask for one of its names."""

    certificate: Annotated[str, Meta(description="File (PEM) with the certificate and its chain.")]
    key: Annotated[str, Meta(description="File (PEM) with its private key, without a passphrase.")]
    names: Annotated[
        list[str], Meta(description="Host names to serve it for; empty: the names in the certificate.")
    ] = field(default_factory=list)


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """Certificates. Files are watched: a renewed one is served without a restart."""

    certificate: Annotated[
        str,
        Meta(
            description="File (PEM) with the certificate and its full chain; empty: one from the server's own local "
            "authority, which strangers and phones do not trust."
        ),
    ] = ""
    key: Annotated[str, Meta(description="File (PEM) with its private key, without a passphrase.")] = ""
    local_names: Annotated[
        list[str],
        Meta(description="Further names and addresses for the certificate of the local authority."),
    ] = field(default_factory=list)
    more: Annotated[
        list[Certificate], Meta(description="Further certificates, chosen by the name that a client asks for.")
    ] = field(default_factory=list)
    channel_binding: Annotated[
        bool,
        Meta(
            description="Offer SCRAM-SHA-256-PLUS too. Off, since some programs take it without being able to do it, "
            "and then cannot log in (mutt 2.2 with GNU SASL)."
        ),
    ] = False


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one client or all of them together may use."""

    message_size: Annotated[Count, Meta(description="Octets of the largest message that is taken.")] = 50 * 1024 * 1024
    recipients: Annotated[Count, Meta(description="Recipients in one transaction.")] = 100
    connections: Annotated[Count, Meta(description="Connections at once, on all ports.")] = 15_000
    connections_per_address: Annotated[
        Count, Meta(description="Connections at once from one IPv4 address or IPv6 /64 network.")
    ] = 400
    before_login: Annotated[
        Count,
        Meta(description="Connections at once that have not logged in; above, those that wait longest are closed."),
    ] = 2_000
    before_login_per_address: Annotated[Count, Meta(description="The same from one address or /64 network.")] = 60
    connections_per_account: Annotated[
        Count, Meta(description="Connections at once of one account; above, its oldest one is closed.")
    ] = 100
    incoming: Annotated[Count, Meta(description="Connections of other servers (port 25) at once.")] = 500
    incoming_per_address: Annotated[Count, Meta(description="The same from one address or /64 network.")] = 50
    message_patience: Annotated[
        Seconds,
        Meta(
            description="Seconds that a peer gets for handing over a message, from its connection, login or last message on, "
            "and longer by what it has sent at `slowest_rate`; below half an hour honest slow peers may be cut off."
        ),
    ] = 1800.0
    slowest_rate: Annotated[Seconds, Meta(description="Octets a second that a message may come at, on average.")] = (
        500.0
    )
    shutdown_patience: Annotated[
        Seconds, Meta(description="Seconds that running commands get to end when the server stops.")
    ] = 20.0


Prefix4 = Annotated[int, Meta(ge=8, le=32)]
Prefix6 = Annotated[int, Meta(ge=16, le=128)]


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """Who guesses passwords is slowed down, never locked out; see docs/security.md."""

    block_burst: Annotated[
        Count, Meta(description="Wrong passwords from one address block before it is refused for now, for any account.")
    ] = 20
    block_refill: Annotated[Seconds, Meta(description="Seconds after which one of them is forgiven.")] = 60.0
    account_burst: Annotated[
        Count, Meta(description="Wrong passwords for one account from blocks where its owner is not known.")
    ] = 50
    account_refill: Annotated[Seconds, Meta(description="Seconds after which one of them is forgiven.")] = 60.0
    familiar_burst: Annotated[
        Count, Meta(description="Wrong passwords for one account from a block where it logged in well lately.")
    ] = 20
    familiar_refill: Annotated[Seconds, Meta(description="Seconds after which one of them is forgiven.")] = 60.0
    familiar_days: Annotated[
        Seconds, Meta(description="Days that a good login makes its address block known as the owner's.")
    ] = 30.0
    ipv4_block: Annotated[
        Prefix4, Meta(description="Prefix length of the IPv4 networks that are counted as one block.")
    ] = 24
    ipv6_block: Annotated[Prefix6, Meta(description="The same of IPv6.")] = 64
    never_refused: Annotated[
        list[str],
        Meta(description="Networks that are slowed down but never refused, because many may be behind one address."),
    ] = field(default_factory=lambda: list(LOCAL))
    first_delay: Annotated[
        Seconds, Meta(description="Seconds until a wrong password is answered; each further one doubles it.")
    ] = 0.5
    longest_delay: Annotated[Seconds, Meta(description="Seconds that no answer takes longer than.")] = 8.0
    never_refused_delay: Annotated[Seconds, Meta(description="The same for networks that are never refused.")] = 1.0
    verified_for: Annotated[
        Seconds,
        Meta(description="Seconds for which a verified password is known again without argon2, since its last use."),
    ] = 900.0
    argon2_at_once: Annotated[
        Count, Meta(description="Passwords verified at the same time; each takes some 20 ms of a core and 19 MiB.")
    ] = 2
    argon2_waiting: Annotated[
        Count,
        Meta(
            description="Passwords that may wait for that; a quarter of the places are for owners where they are known."
        ),
    ] = 200
    argon2_per_block: Annotated[
        Count, Meta(description="Passwords of one address block that are verified or wait at the same time.")
    ] = 4
    logins_in_line: Annotated[
        Count, Meta(description="Logins of one address block that may stand in line; more are refused for now.")
    ] = 64
    remembered: Annotated[
        Count, Meta(description="Blocks, accounts and passwords that are remembered, some 200 octets each.")
    ] = 20_000


class Submission(Struct, frozen=True, forbid_unknown_fields=True):
    """Mail that your users send."""

    save_sent: Annotated[bool, Meta(description="File a copy in the sender's Sent mailbox.")] = True
    show_client_address: Annotated[
        bool, Meta(description="Write the sender's network address into the message; it tells where they live.")
    ] = False
    recipients_per_hour: Annotated[
        Limit, Meta(description="Recipients that one account may write to within an hour; 0 for no limit.")
    ] = 500
    recipients_per_day: Annotated[
        Limit, Meta(description="The same within a day. It limits what a stolen password is good for.")
    ] = 2000


class Smarthost(Struct, frozen=True, forbid_unknown_fields=True):
    """A server that all outgoing mail is handed to."""

    host: Annotated[str, Meta(description="Its name; empty: mail goes to each recipient's own server.")] = ""
    port: Annotated[Port, Meta(description="Its port.")] = 465
    security: Annotated[
        Literal["implicit", "starttls", "none"],
        Meta(
            description="`implicit` or `starttls`, both with a certificate that is checked; `none` without a password."
        ),
    ] = "implicit"
    username: Annotated[str, Meta(description="What to log in as; empty: without logging in.")] = ""
    password_file: Annotated[str, Meta(description="File whose first line is the password.")] = ""


class Route(Smarthost, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another way for some domains; without a host their mail goes to their own servers."""

    domains: Annotated[list[str], Meta(description="The recipients' domains that go this way.", min_length=1)]


class Relay(Struct, frozen=True, forbid_unknown_fields=True):
    """Mail on its way to other servers."""

    smarthost: Annotated[Smarthost, Meta(description="A server that all outgoing mail is handed to.")] = Smarthost()
    routes: Annotated[
        list[Route], Meta(description="Other smarthosts, or none, for the domains that each one names.")
    ] = field(default_factory=list)
    port: Annotated[Port, Meta(description="Port at which other servers are reached: 25 but in experiments.")] = 25
    first_wait: Annotated[
        Seconds, Meta(description="Seconds after the first failed attempt; each further wait is twice as long.")
    ] = 300.0
    longest_wait: Annotated[Seconds, Meta(description="Seconds that no wait exceeds.")] = 4 * 3600.0
    warn_after: Annotated[
        Seconds, Meta(description="Seconds after which the sender is told that the message is still waiting.")
    ] = 4 * 3600.0
    give_up_after: Annotated[
        Seconds, Meta(description="Seconds after which a message goes back to its sender (RFC 5321: 4 to 5 days).")
    ] = 5 * 86400.0
    everything_to: Annotated[
        str,
        Meta(
            description="Account that gets all mail for other domains instead of their servers; for trying things out."
        ),
    ] = ""


class Dns(Struct, frozen=True, forbid_unknown_fields=True):
    """Where names are looked up."""

    servers: Annotated[
        list[str],
        Meta(description='Addresses of name servers, "127.0.0.1" or "127.0.0.1:5353"; empty: the system\'s.'),
    ] = field(default_factory=list)


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written about the server's work."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important lines that are written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "text", "json"], Meta(description="`auto`: text on a terminal, JSON elsewhere.")
    ] = "auto"
    transcripts: Annotated[
        str, Meta(description="Directory for each connection's dialogue, without secrets and bodies; empty: none.")
    ] = ""


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a monitoring system may fetch what the server counts and measures; see docs/operations.md."""

    enabled: Annotated[
        bool, Meta(description="Whether they are served by HTTP at `/metrics`, in the format of Prometheus.")
    ] = False
    port: Annotated[Port, Meta(description="The port; 0 takes any free one.")] = 9925
    host: Annotated[
        str,
        Meta(
            description="The address to listen on. There is no TLS and no password: keep it on this machine, or in a "
            "network where everybody may read it."
        ),
    ] = "localhost"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured."""

    host_name: Annotated[
        str, Meta(description="The server's name, as its address resolves to; empty: what the machine is called.")
    ] = ""
    data: Annotated[str, Meta(description="Directory that holds all mail and accounts; on a local disk.")] = (
        "/var/lib/pillarbox"
    )
    domains: Annotated[
        list[str],
        Meta(description="Domains whose mail is kept here, added at the start; `pillarbox domain add` adds more."),
    ] = field(default_factory=list)
    postmaster: Annotated[
        str, Meta(description="Account that gets mail for postmaster and abuse where nobody else does.")
    ] = ""
    network_storage_because: Annotated[
        str,
        Meta(
            description="Why `data` is safe on a network file system all the same; empty: the server does not start there, "
            "since locks and SQLite's write-ahead log do not hold on them."
        ),
    ] = ""
    user: Annotated[str, Meta(description="User to become after the ports are open, when started as root.")] = ""
    listeners: Annotated[Listeners, Meta(description="The ports.")] = Listeners()
    tls: Annotated[Tls, Meta(description="Certificates.")] = Tls()
    limits: Annotated[Limits, Meta(description="Limits.")] = Limits()
    access: Annotated[Access, Meta(description="Wrong passwords.")] = Access()
    submission: Annotated[Submission, Meta(description="Mail that your users send.")] = Submission()
    relay: Annotated[Relay, Meta(description="Mail on its way to other servers.")] = Relay()
    dns: Annotated[Dns, Meta(description="Where names are looked up.")] = Dns()
    log: Annotated[Log, Meta(description="The log.")] = Log()
    metrics: Annotated[Metrics, Meta(description="What is counted and measured.")] = Metrics()


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of `pillarbox config explain`. `key` as in TOML, with dots; `default` as TOML would write it."""

    key: str
    default: str
    meaning: str


def settings(struct: type[Struct] = Config, prefix: str = "", defaults: Struct | None = None) -> list[Setting]:
    """Every setting with its default and meaning, in the order of the file."""
    defaults = defaults if defaults is not None or struct is not Config else Config()
    found: list[Setting] = []
    hints = get_type_hints(struct, include_extras=True)
    # In TOML whatever follows the head of a table belongs to it, so that tables come last.
    for name, hint in sorted(hints.items(), key=lambda item: struct_of(item[1]) is not None):
        inner, meaning = struct_of(hint), description(hint)
        default = getattr(defaults, name) if defaults is not None else msgspec.NODEFAULT
        key = f"{prefix}{name}"
        if inner is not None and _is_list(hint):
            found.append(Setting(f"[[{key}]]", "[]", meaning))
            found += settings(inner, f"{key}[].", None)
        elif inner is not None:
            found.append(Setting(f"[{key}]", "", meaning))
            found += settings(inner, f"{key}.", default if isinstance(default, Struct) else None)
        else:
            found.append(Setting(key, _as_toml(default), meaning))
    return found


def description(hint: Any) -> str:
    """The meaning that was written beside a field."""
    return next((m.description for m in getattr(hint, "__metadata__", ()) if getattr(m, "description", None)), "")


def struct_of(hint: Any) -> type[Struct] | None:
    """The Struct that a field holds, directly or in a list."""
    bare = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    if get_origin(bare) is list:
        bare = get_args(bare)[0]
    return bare if isinstance(bare, type) and issubclass(bare, Struct) else None


def _is_list(hint: Any) -> bool:
    return get_origin(get_args(hint)[0] if hasattr(hint, "__metadata__") else hint) is list


def _as_toml(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return "(none)"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()
