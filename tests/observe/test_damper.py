"""Lines that strangers provoke are bounded."""

from pillarbox.observe.damper import LINES, PROVOKED, Damper


def test_a_flood_is_counted_and_what_people_did_is_written() -> None:
    damper = Damper(lines=3, period=10)
    assert damper.left_out(100) == {}
    assert [damper.passes("refused") for _ in range(5)] == [True] * 3 + [False] * 2
    assert all(damper.passes("login") for _ in range(1000))
    assert damper.passes("login_refused")
    assert damper.left_out(109.9) == {}
    assert damper.left_out(110) == {"refused": 2}
    assert damper.passes("refused")
    assert damper.left_out(120) == {}


def test_nothing_that_needs_an_account_is_left_out() -> None:
    assert not PROVOKED & {"login", "message_accepted", "connected", "bug", "internal_error", "store_unavailable"}
    assert LINES >= 100
