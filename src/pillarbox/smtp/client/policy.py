"""How the client side of SMTP behaves: limits and time-outs (RFC 5321 §4.5.3.2), TLS, who we say we are."""

from dataclasses import dataclass
from enum import Enum

from pillarbox.sasl.secret import Secret


class TlsMode(Enum):
    """How a hop is reached. OPPORTUNISTIC encrypts when the server offers it and does not check its certificate (RFC 7435);
    REQUIRED demands STARTTLS and IMPLICIT TLS from the first octet (RFC 8314), both with a certificate that is checked."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials at a smarthost."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for the other server, by what we wait for (RFC 5321 §4.5.3.2: these are its minimums)."""

    greeting: float = 300
    command: float = 300  # MAIL, RCPT and everything else
    data: float = 120  # the 354
    block: float = 180  # each piece of the message to be taken
    final: float = 600  # the reply after the final dot
    quit: float = 5  # nobody waits for it


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """`host_name` is what EHLO says: the name that our address resolves to."""

    host_name: str = "localhost"
    timeouts: Timeouts = Timeouts()
