"""What the server itself reads: its configuration, lines on the control socket, answers of name servers."""

import json
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
from pillarbox.server.administration import Administration, Refusal
from pillarbox.server.control import ControlServer


def config(octets: bytes) -> None:
    """Any file is a configuration, or one clear error."""
    try:
        configuration.parse(octets)
    except configuration.ConfigError as error:
        assert str(error)


def control(octets: bytes) -> None:
    """Any line is answered; only a Refusal is an answer, everything else is a bug."""
    run(_control(octets))


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
