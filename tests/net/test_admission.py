"""Who may connect."""

import pytest

from pillarbox.net.admission import Admission, AdmissionLimits, Ticket, address_block

BLOCKS = [
    ("192.0.2.7", "192.0.2.7"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("::ffff:192.0.2.7", "192.0.2.7"),
    ("::1", "::/64"),
    ("", ""),
    ("odd:name", "odd:name"),
]


@pytest.mark.parametrize(("address", "block"), BLOCKS)
def test_blocks(address: str, block: str) -> None:
    assert address_block(address) == block


def _admit(admission: Admission, address: str, *, login: bool = True) -> Ticket:
    ticket = admission.admit(address, login=login)
    assert isinstance(ticket, Ticket)
    return ticket


def test_each_limit_and_its_reason() -> None:
    admission = Admission(AdmissionLimits(total=5, per_block=3, before_login=4, before_login_per_block=2))
    first = _admit(admission, "192.0.2.1")
    _admit(admission, "192.0.2.1")
    assert admission.admit("192.0.2.1", login=True) == "too many connections from 192.0.2.1 that have not logged in"
    third = _admit(admission, "192.0.2.1", login=False)  # port 25 knows no login
    assert admission.admit("192.0.2.1", login=False) == "too many connections from 192.0.2.1"
    admission.logged_in(first)
    admission.leave(third)
    _admit(admission, "192.0.2.1")
    _admit(admission, "192.0.2.2")
    _admit(admission, "192.0.2.3")
    assert admission.admit("192.0.2.4", login=False) == "too many connections"


def test_nothing_is_kept_of_who_left() -> None:
    admission = Admission()
    tickets = [_admit(admission, f"2001:db8::{n:x}:0:0:0:1", login=n % 2 == 0) for n in range(100)]
    for number, ticket in enumerate(tickets):
        if number % 3:
            admission.logged_in(ticket)
            admission.logged_in(ticket)  # twice is once
        admission.leave(ticket)
    assert (admission.total, admission.before_login) == (0, 0)
    assert not admission._blocks
    assert not admission._before_login
