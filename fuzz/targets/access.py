"""SASL: any sequence of responses against each mechanism, and any server against our client side."""

from fuzz.targets.world import NAME, PASSWORD, TLS, OneAccount, run
from pillarbox.sasl import client as client_side
from pillarbox.sasl import registry
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, BadExchange, Identity
from pillarbox.sasl.secret import Secret


def sasl(octets: bytes) -> None:
    """The first octet is the mechanism, the lines are responses."""
    run(_sasl(octets))


async def _sasl(octets: bytes) -> None:
    names = sorted(registry.MECHANISMS, key=lambda name: name.endswith("-PLUS"))
    name = names[(octets[0] if octets else 0) % len(names)]
    exchange = registry.exchange(name, OneAccount(), tls=TLS, nonce=lambda: "server")
    responses: list[bytes | None] = [*octets[1:].split(b"\n")]
    if responses == [b""]:
        responses = [None]
    for response in responses:
        try:
            outcome = await exchange.step(response)
        except (BadExchange, AuthenticationFailed, AuthenticationUnavailable):
            return
        if isinstance(outcome, Identity):
            assert outcome.address == NAME
            return


def sasl_client(octets: bytes) -> None:
    """The first octet is what the server offers, the lines are its challenges."""
    offered = (["SCRAM-SHA-256"], ["PLAIN"], ["LOGIN"])[(octets[0] if octets else 0) % 3]
    exchange = client_side.choose(offered, NAME, Secret(PASSWORD), nonce=lambda: "client")
    assert exchange is not None
    exchange.initial()
    for challenge in octets[1:].split(b"\n"):
        try:
            exchange.answer(challenge)
        except BadExchange:
            return
    try:
        exchange.succeeded()
    except BadExchange:
        return
