"""Who may connect."""

import pytest

from pillarbox.access.blocks import address_block
from pillarbox.net.admission import Admission, AdmissionLimits, Ticket

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


def _admit(admission: Admission, address: str, *, login: bool = True, gone: list[str] | None = None) -> Ticket:
    ticket = admission.admit(address, lambda: (gone if gone is not None else []).append(address), login=login)
    assert isinstance(ticket, Ticket)
    return ticket


def _refused(admission: Admission, address: str, *, login: bool = True) -> str:
    reason = admission.admit(address, lambda: None, login=login)
    assert isinstance(reason, str)
    return reason


def test_each_limit_and_its_reason() -> None:
    admission = Admission(
        AdmissionLimits(total=5, per_block=3, before_login=4, before_login_per_block=2, incoming_per_block=1)
    )
    first = _admit(admission, "192.0.2.1")
    _admit(admission, "192.0.2.1")
    assert _refused(admission, "192.0.2.1") == "too many connections from 192.0.2.1 that have not logged in"
    third = _admit(admission, "192.0.2.1", login=False)  # port 25 knows no login
    assert _refused(admission, "192.0.2.1", login=False) == "too many connections from 192.0.2.1"
    admission.logged_in(first)
    admission.leave(third)
    last = _admit(admission, "192.0.2.1", login=False)
    admission.leave(last)
    everybody = [_admit(admission, f"192.0.2.{n}") for n in (1, 2, 3)]
    for ticket in everybody:
        admission.logged_in(ticket)
    assert admission.total == 5
    assert not admission.made_room


def test_no_room_when_everybody_has_logged_in() -> None:
    admission = Admission(AdmissionLimits(total=2))
    for number in (1, 2):
        admission.logged_in(_admit(admission, f"192.0.2.{number}"))
    assert _refused(admission, "192.0.2.3") == "too many connections"
    assert _refused(admission, "192.0.2.3", login=False) == "too many connections"


def test_strangers_never_keep_anybody_out() -> None:
    """The most crowded block gives way first, and there whoever came first."""
    gone: list[str] = []
    admission = Admission(AdmissionLimits(before_login=6, before_login_per_block=4))
    _admit(admission, "192.0.2.9", gone=gone)
    crowded = [_admit(admission, "203.0.113.1", gone=gone) for _ in range(3)]
    for _ in range(2):
        _admit(admission, "203.0.113.2", gone=gone)
    _admit(admission, "192.0.2.1", gone=gone)
    assert gone == ["203.0.113.1"]
    assert not crowded[0].block
    assert crowded[1].block
    _admit(admission, "192.0.2.2", gone=gone)
    assert gone == ["203.0.113.1", "203.0.113.2"]  # both had two; that one had them first
    assert (admission.total, len(admission.strangers), admission.made_room) == (6, 6, 2)


def test_of_a_botnet_the_one_that_waits_longest_goes() -> None:
    gone: list[str] = []
    admission = Admission(AdmissionLimits(before_login=3))
    owner = _admit(admission, "192.0.2.1", gone=gone)
    admission.logged_in(owner)  # within its second
    for number in range(10):
        _admit(admission, f"203.0.113.{number}", gone=gone)
    assert gone == [f"203.0.113.{number}" for number in range(7)]
    assert owner.block


def test_all_places_taken_by_strangers_on_all_ports() -> None:
    gone: list[str] = []
    admission = Admission(AdmissionLimits(total=4))
    for number in range(4):
        _admit(admission, f"203.0.113.{number}", login=number == 0, gone=gone)
    _admit(admission, "192.0.2.1", gone=gone)
    assert gone == ["203.0.113.1"]


def test_other_servers_have_places_of_their_own() -> None:
    gone: list[str] = []
    admission = Admission(AdmissionLimits(incoming=2, incoming_per_block=1))
    _admit(admission, "192.0.2.1", gone=gone)
    for number in range(3):
        _admit(admission, f"203.0.113.{number}", login=False, gone=gone)
    assert "192.0.2.1" in _refused(Admission(AdmissionLimits(incoming_per_block=0)), "192.0.2.1", login=False)
    assert gone == ["203.0.113.0"]


def test_nothing_is_kept_of_who_left() -> None:
    admission = Admission()
    tickets = [_admit(admission, f"2001:db8::{n % 70:x}:0:0:0:1", login=n % 2 == 0) for n in range(100)]
    for number, ticket in enumerate(tickets):
        if number % 3:
            admission.logged_in(ticket)
            admission.logged_in(ticket)  # twice is once
        admission.leave(ticket)
        admission.leave(ticket)
    assert (admission.total, len(admission.strangers), len(admission.servers)) == (0, 0, 0)
    assert not admission._blocks
    assert not admission.strangers._blocks
    assert not admission.strangers._by_size


def test_an_account_s_oldest_connection_makes_room() -> None:
    gone: list[str] = []
    admission = Admission(AdmissionLimits(per_account=2))
    for number in range(5):
        admission.logged_in(_admit(admission, f"192.0.2.{number}", gone=gone), "mallory@example.test")
    other = _admit(admission, "192.0.2.9", gone=gone)
    admission.logged_in(other, "alice@example.test")
    assert gone == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert admission.total == 3
    admission.leave(other)
    assert set(admission._accounts) == {"mallory@example.test"}
