"""Who may connect: each count, in all and by block, and that leaving gives the place back."""

import pytest

from pillarbox.net.admission import Admission, AdmissionLimits, Ticket, address_block

WIDE = {"total": 100, "per_block": 100, "before_login": 100, "before_login_per_block": 100}


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("total", "too many connections"),
        ("per_block", "too many connections from 192.0.2.1"),
        ("before_login", "too many connections that have not logged in"),
        ("before_login_per_block", "too many connections from 192.0.2.1 that have not logged in"),
    ],
)
def test_each_limit(limit: str, reason: str) -> None:
    admission = Admission(AdmissionLimits(**{**WIDE, limit: 3}))
    tickets = [admission.admit("192.0.2.1", login=True) for _ in range(3)]
    assert all(isinstance(ticket, Ticket) for ticket in tickets)
    assert admission.admit("192.0.2.1", login=True) == reason
    other = admission.admit("192.0.2.2", login=True)
    assert isinstance(other, Ticket) == limit.endswith("per_block")
    if limit.startswith("before_login"):
        assert isinstance(admission.admit("192.0.2.1", login=False), Ticket)
        assert isinstance(tickets[0], Ticket)
        admission.logged_in(tickets[0])
    else:
        assert isinstance(tickets[0], Ticket)
        admission.leave(tickets[0])
    assert isinstance(admission.admit("192.0.2.1", login=True), Ticket)


def test_nothing_is_left_when_all_have_left() -> None:
    admission = Admission()
    tickets = [admission.admit(f"2001:db8:{i}::1", login=bool(i % 2)) for i in range(50)]
    for ticket in tickets:
        assert isinstance(ticket, Ticket)
        admission.logged_in(ticket)
        admission.leave(ticket)
    assert (admission.total, admission.before_login, len(admission._blocks), len(admission._before_login)) == (
        0,
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_blocks(address: str, block: str) -> None:
    assert address_block(address) == block
