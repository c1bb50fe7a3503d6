"""What the server itself reads: its configuration, lines on the control socket, answers of name servers."""

import inspect
import json
from itertools import islice
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from fuzz.targets.world import open_store, run
from pillarbox.mailauth.dns import DnsUnavailable
from pillarbox.net.dns import DnsPolicy, DnsResolver
from pillarbox.server import config as configuration
from pillarbox.server.administration import VERBS, Administration, Refusal
from pillarbox.server.control import ControlServer


def config(octets: bytes) -> None:
    """Any file is a configuration, or one clear error."""
    try:
        configuration.parse(octets)
    except configuration.ConfigError as error:
        assert str(error)


_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e300,
    "",
    "a@b.test",
    "@b.test",
    "b.test",
    "q1",
    [],
    ["a@b.test"],
    [None],
    {"a": 1},
)


def control(octets: bytes) -> None:
    """Any line is answered; only a Refusal is an answer, everything else is a bug. From the octet 0x80 on, an input is a
    series of calls: verb, and a value (of the input's own text, or one of some) for each argument."""
    run(_control(_calls(octets[1:]) if octets[:1] >= b"\x80" else octets))


def _calls(octets: bytes) -> bytes:
    numbers = iter(octets)
    text = octets.decode("utf-8", "surrogateescape")
    lines = []
    verbs = sorted(VERBS)
    for number in islice(numbers, 5):
        verb = verbs[number % len(verbs)]
        arguments = {}
        for name in islice(inspect.signature(VERBS[verb]).parameters, 1, None):
            choice = next(numbers, 0)
            if choice < 0xF0:
                arguments[name] = (
                    text[choice % 16 :][: choice // 8] if choice > 0x80 else _VALUES[choice % len(_VALUES)]
                )
        lines.append(json.dumps({"verb": verb, "arguments": arguments}).encode())
    return b"\n".join(lines)


async def _control(octets: bytes) -> None:
    def bug(verb: str, error: Exception) -> None:
        raise AssertionError(verb) from error

    administration = Administration(await open_store(), hashing=_no_hashing)
    server = ControlServer(Path("/nowhere"), administration.perform, refusal=Refusal, bug=bug)
    for line in octets.splitlines():
        json.dumps(await server._answer(line))


def _no_hashing(_password: Any) -> Any:
    raise Refusal("not here")


class _Told(DnsResolver):
    """Gets its answer from an octet string."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(DnsPolicy(servers=(("127.0.0.1", 53),)))
        self._octets = octets

    async def _resolve(self, name: str, kind: str) -> dns.resolver.Answer:
        message = dns.message.from_wire(self._octets)
        question = dns.name.from_text(name + ".")
        query = dns.message.make_query(question, kind)
        query.id = message.id  # a stranger may have guessed it
        if not isinstance(message, dns.message.QueryMessage) or not query.is_response(message):
            raise dns.exception.FormError  # dnspython's resolver compares the questions too
        return dns.resolver.Answer(question, dns.rdatatype.from_text(kind), dns.rdataclass.IN, message)


def dns_answer(octets: bytes) -> None:
    """The first octet is the question; the rest is the message that comes back."""
    run(_dns_answer(octets))


async def _dns_answer(octets: bytes) -> None:
    mode = octets[0] % 6 if octets else 0
    resolver = _Told(octets[1:])
    try:
        match mode:
            case 0:
                repr(await resolver.mx("x.test"))
            case 1:
                repr(await resolver.a("x.test"))
            case 2:
                repr(await resolver.aaaa("x.test"))
            case 3:
                repr(await resolver.txt("x.test"))
            case 4:
                repr(await resolver.tlsa("x.test"))
            case _:
                repr(await resolver.mx(octets[1:].decode("utf-8", "replace")))
    except DnsUnavailable:
        return
