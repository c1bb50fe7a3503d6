"""One try: which servers are asked, and what counts in the end."""

from collections.abc import AsyncIterator

import pytest
from tests.queue.fakes import LATER, NO, OK, Behaviour, FakeWorld

from pillarbox.mail.status import Reply
from pillarbox.queue.attempt import Attempt, Outgoing, PeerFailed, TlsFailed
from pillarbox.queue.routing import Peer
from pillarbox.smtp.client.policy import TlsMode
from pillarbox.smtp.client.transaction import Recipient

POLICY_REFUSAL = Reply(550, "5.7.25", "no reverse DNS")
DOWN = PeerFailed(Reply(451, "4.4.1", "no connection"))
CLOSED = PeerFailed(Reply(554, "5.7.1", "blocked"))


async def content() -> AsyncIterator[bytes]:
    yield b"x"


def peer(address: str, tls: TlsMode = TlsMode.OPPORTUNISTIC) -> Peer:
    return Peer("mx.test", address, 25, tls)


async def attempt(
    servers: dict[str, Behaviour | Exception], *recipients: str, tls: TlsMode = TlsMode.OPPORTUNISTIC, batch: int = 100
) -> tuple[list[str], list[str]]:
    """Enhanced codes of the outcomes, and the addresses that were asked in order."""
    world = FakeWorld(servers)
    message = Outgoing("a@here.test", 1, content, eight_bit=False, utf8=False, parameters={})
    tries = Attempt(world, message, [Recipient(r) for r in recipients or ("b@t.test",)], batch)
    outcomes = await tries.run([peer(a, tls) for a in servers])
    return [o.reply.enhanced for o in outcomes], [p.address for p, _ in world.calls]


def says(reply: Reply) -> Behaviour:
    return lambda _address: reply


@pytest.mark.parametrize(
    ("servers", "expected", "asked"),
    [
        ([says(OK), says(OK)], "2.0.0", 1),
        ([says(NO), says(OK)], "5.1.1", 1),  # a server's no is final (RFC 5321 §4.2.1)
        ([DOWN, says(OK)], "2.0.0", 2),
        ([CLOSED, says(OK)], "2.0.0", 2),
        ([CLOSED, DOWN], "4.4.1", 2),
        ([DOWN, CLOSED], "4.4.0", 2),  # refusing to talk says nothing about the message
        ([says(LATER), says(OK)], "2.0.0", 2),
        ([says(LATER), says(LATER), says(OK)], "4.7.1", 2),  # a second opinion, not a tour
        ([DOWN] * 20, "4.4.1", 6),
        ([says(POLICY_REFUSAL), says(OK)], "5.7.25", 1),  # the other one has the same family
    ],
)
async def test_which_servers_are_asked(servers: list[Behaviour | Exception], expected: str, asked: int) -> None:
    found, calls = await attempt({f"192.0.2.{n}": s for n, s in enumerate(servers)})
    assert (found, len(calls)) == ([expected], asked)


@pytest.mark.parametrize(("second", "expected"), [(says(OK), "2.0.0"), (DOWN, "5.7.25"), (says(NO), "5.1.1")])
async def test_a_refusal_by_policy_is_checked_with_the_other_family(second: Behaviour, expected: str) -> None:
    found, calls = await attempt({"2001:db8::1": says(POLICY_REFUSAL), "192.0.2.1": second})
    assert (found, len(calls)) == ([expected], 2)


async def test_each_recipient_has_its_own_outcome() -> None:
    answers = {"a@t.test": OK, "b@t.test": NO, "c@t.test": LATER}
    second = {"c@t.test": OK}
    found, calls = await attempt({"192.0.2.1": answers.__getitem__, "192.0.2.2": second.__getitem__}, *answers)
    assert found == ["2.0.0", "5.1.1", "2.0.0"]
    assert len(calls) == 2


async def test_many_recipients_in_several_transactions() -> None:
    found, calls = await attempt({"192.0.2.1": says(OK)}, *(f"r{n}@t.test" for n in range(25)), batch=10)
    assert found == ["2.0.0"] * 25
    assert len(calls) == 3


async def test_too_many_recipients_come_again_at_once() -> None:
    taken: list[str] = []

    def five_at_a_time(address: str) -> Reply:
        if len(taken) % 5 == 0 and taken and not taken[-1].endswith("!"):
            taken[-1] += "!"
            return Reply(452, "4.5.3", "too many")
        taken.append(address)
        return OK

    found, _ = await attempt({"192.0.2.1": five_at_a_time}, *(f"r{n}@t.test" for n in range(12)))
    assert found == ["2.0.0"] * 12


async def test_broken_tls_is_left_out_when_it_is_opportunistic() -> None:
    broken = TlsFailed(Reply(451, "4.7.5", "handshake"))
    found, calls = await attempt({"192.0.2.1": broken})
    assert (found, len(calls)) == (["2.0.0"], 2)
    found, calls = await attempt({"192.0.2.1": broken}, tls=TlsMode.REQUIRED)
    assert (found, len(calls)) == (["4.7.5"], 1)
