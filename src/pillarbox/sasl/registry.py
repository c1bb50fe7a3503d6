"""The SASL mechanisms that this server speaks, best first, and the one gate that they all stand behind (RFC 4422).

Security: no exchange starts outside of TLS, whatever the mechanism, the port or the peer's address. Engines take their
capability lines from `offered`, so a mechanism cannot be offered where it would be refused.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pillarbox.sasl.api import Channel, Credentials, Exchange
from pillarbox.sasl.login import LoginExchange
from pillarbox.sasl.plain import PlainExchange
from pillarbox.sasl.scram import ScramExchange

Nonce = Callable[[], str]
"""Gives a fresh unpredictable text of printable ASCII without commas."""


class UnknownMechanism(Exception):
    """The client named a mechanism that this server does not speak."""


class TlsRequired(Exception):
    """Authentication was begun without TLS."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """`name` as it is advertised; `begin` starts one exchange. `binds`: exists where the channel has bindings."""

    name: str
    begin: Callable[[Credentials, Nonce, Channel], Exchange]
    binds: bool = False


MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("SCRAM-SHA-256-PLUS", partial(ScramExchange, plus=True), binds=True),
        Mechanism("SCRAM-SHA-256", ScramExchange),
        Mechanism("PLAIN", lambda credentials, _nonce, _tls: PlainExchange(credentials)),
        Mechanism("LOGIN", lambda credentials, _nonce, _tls: LoginExchange(credentials)),
    )
}


def fresh_nonce() -> str:
    """144 random bits: more than any number of exchanges will ever repeat."""
    return secrets.token_urlsafe(18)


_UNBOUND = tuple(name for name, mechanism in MECHANISMS.items() if not mechanism.binds)


def offered(tls: Channel | None) -> tuple[str, ...]:
    """Names of the mechanisms that may be advertised now; none without TLS. `tls` is the link's TlsInfo, or None."""
    if tls is None:
        return ()
    return tuple(MECHANISMS) if tls.bindings else _UNBOUND


def exchange(name: str, credentials: Credentials, *, tls: Channel | None, nonce: Nonce = fresh_nonce) -> Exchange:
    """Begin an exchange. Names are compared without regard to case (RFC 4422 §3.1 has capitals only; clients vary).

    Raises TlsRequired (first, so that a name typed in the clear is never judged), UnknownMechanism.
    """
    if tls is None:
        raise TlsRequired
    mechanism = MECHANISMS.get(name.upper())
    if mechanism is None or (mechanism.binds and not tls.bindings):
        raise UnknownMechanism
    return mechanism.begin(credentials, nonce, tls)
