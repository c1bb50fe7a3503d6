"""What a resolver, or someone who sends before it, may answer instead of the truth."""

import random
from collections.abc import Callable
from itertools import pairwise

import dns.flags
import dns.message
import dns.rrset
from tests.net.dns_server import Lie

EVIL = "10 evil.test."


def _with(response: dns.message.Message, name: str, kind: str, *records: str) -> dns.message.Message:
    lie = dns.message.from_wire(response.to_wire())
    lie.answer = [dns.rrset.from_text_list(name, 300, "IN", kind, list(records))]
    return lie


def another_id(response: dns.message.Message, _how: str) -> bytes:
    lie = _with(response, str(response.question[0].name), "MX", EVIL)
    lie.id = response.id ^ 1
    return lie.to_wire()


def another_question(response: dns.message.Message, _how: str) -> bytes:
    lie = _with(response, "elsewhere.test.", "MX", EVIL)
    lie.question = [dns.rrset.from_text("elsewhere.test.", 0, "IN", "MX")]
    return lie.to_wire()


def a_question(response: dns.message.Message, _how: str) -> bytes:
    lie = _with(response, str(response.question[0].name), "MX", EVIL)
    lie.flags &= ~dns.flags.QR
    return lie.to_wire()


def garbage(response: dns.message.Message, _how: str) -> bytes:
    return response.id.to_bytes(2, "big") + random.Random(response.id).randbytes(500)


def cut_off(response: dns.message.Message, _how: str) -> bytes:
    return response.to_wire()[:-9]


def nothing_at_all(_response: dns.message.Message, _how: str) -> bytes:
    return b""


def one_octet(_response: dns.message.Message, _how: str) -> bytes:
    return b"\0"


def truncated_then_silence(response: dns.message.Message, how: str) -> bytes | None:
    if how == "tcp":
        return None
    response.flags |= dns.flags.TC
    response.answer = []
    return response.to_wire()


def aliases_in_a_circle(response: dns.message.Message, _how: str) -> bytes:
    name = str(response.question[0].name)
    response.answer = [
        dns.rrset.from_text(name, 300, "IN", "CNAME", "round.test."),
        dns.rrset.from_text("round.test.", 300, "IN", "CNAME", name),
    ]
    return response.to_wire()


def aliases_without_end(response: dns.message.Message, how: str) -> bytes:
    names = [str(response.question[0].name), *(f"a{number}.test." for number in range(1000))]
    response.answer = [
        dns.rrset.from_text(a, 300, "IN", "CNAME", b) for a, b in pairwise(names)
    ]  # fmt: skip
    return _short_for_udp(response, how)


def compression_in_a_circle(response: dns.message.Message, _how: str) -> bytes:
    """The answer's name points to itself (RFC 1035 §4.1.4)."""
    head = response.id.to_bytes(2, "big") + b"\x81\x80\0\1\0\1\0\0\0\0"
    question = response.question[0].name.to_wire() or b""
    at = len(head) + len(question) + 4
    return head + question + b"\0\x0f\0\1" + (0xC000 | at).to_bytes(2, "big") + b"\0\x0f\0\1\0\0\1\0\0\4\0\1\xc0\x0c"


def refused(response: dns.message.Message, _how: str) -> bytes:
    response.set_rcode(5)
    response.answer = []
    return response.to_wire()


def _short_for_udp(response: dns.message.Message, how: str) -> bytes:
    if how == "tcp":
        return response.to_wire(max_size=65535)
    response.flags |= dns.flags.TC
    response.answer = []
    return response.to_wire()


LIES: dict[str, Lie] = {
    lie.__name__.replace("_", "-"): lie
    for lie in (
        another_id, another_question, a_question, garbage, cut_off, nothing_at_all, one_octet, truncated_then_silence,
        aliases_in_a_circle, aliases_without_end, compression_in_a_circle, refused,
    )
}  # fmt: skip
"""By name. None of them may be believed, and none may stop anything but mail for that name, for a while."""


def huge(number: int) -> Callable[[dns.message.Message, str], bytes]:
    """An honest but very long answer."""

    def lie(response: dns.message.Message, how: str) -> bytes:
        name = str(response.question[0].name)
        records = [f"{n} mx{n}.{name}" for n in range(number)]
        response.answer = [dns.rrset.from_text_list(name, 300, "IN", "MX", records)]
        return _short_for_udp(response, how)

    return lie
