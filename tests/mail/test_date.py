"""Dates of mail and of IMAP."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.date import internaldate, parse_date, parse_day, parse_internaldate


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]


DATES = [
    (b"Fri, 21 Nov 1997 09:55:06 -0600", at(1997, 11, 21, 15, 55, 6)),
    (b"1 Jul 2003 10:52 +0200", at(2003, 7, 1, 8, 52)),
    (b"Thu,\r\n 13 Feb 1969 23:32:54 -0330 (Newfoundland Time)".replace(b"\r\n", b""), at(1969, 2, 14, 3, 2, 54)),
    (b"21 Nov 97 09:55:06 GMT", at(1997, 11, 21, 9, 55, 6)),
    (b"21 Nov 07 09:55:06 EST", at(2007, 11, 21, 14, 55, 6)),
    (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", None),
    (b"Mon, 3 Jan 100 00:00:00 Z", at(2000, 1, 3)),
    (b"Sun, 06 Nov 2016 08:49:37 A", at(2016, 11, 6, 8, 49, 37)),
    (b"Tue, 24 Nov 2026 05:00:00", at(2026, 11, 24, 5)),
    (b"Tue Nov 24 05:00:00 2026", at(2026, 11, 24, 5)),
    (b"24-Nov-2026 05:00:00 +0000", at(2026, 11, 24, 5)),
    (b"Tue, 24 November 2026 5:00:00 +01:00", at(2026, 11, 24, 4)),
    (b"30 Feb 2020 00:00:00 +0000", None),
    (b"Whenever", None),
    (b"", None),
]


@pytest.mark.parametrize(("value", "seconds"), DATES)
def test_date_field(value: bytes, seconds: int | None) -> None:
    parsed = parse_date(value)
    assert (None if parsed is None else parsed.seconds) == seconds


def test_the_senders_calendar() -> None:
    parsed = parse_date(b"Tue, 24 Nov 2026 23:30:00 -0800")
    assert parsed is not None
    assert parsed.day == parse_day(b"24-Nov-2026")


@pytest.mark.parametrize(
    ("octets", "seconds"),
    [
        (b"17-Jul-1996 02:44:25 -0700", at(1996, 7, 17, 9, 44, 25)),
        (b" 1-Jul-1996 02:44:25 +0000", at(1996, 7, 1, 2, 44, 25)),
        (b"1-Jul-1996 02:44:25 +0000", at(1996, 7, 1, 2, 44, 25)),
        (b"31-Feb-1996 02:44:25 +0000", None),
        (b"17-Jul-1996 24:44:25 +0000", None),
        (b"17-Jul-1996 02:44:25 +0060", None),
        (b"17-Jul-1996", None),
    ],
)
def test_internaldate(octets: bytes, seconds: int | None) -> None:
    assert parse_internaldate(octets) == seconds


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_internaldate_both_ways(seconds: int) -> None:
    text = internaldate(seconds)
    assert len(text) == 26
    assert parse_internaldate(text) == seconds


@given(st.binary(max_size=60))
def test_any_value(value: bytes) -> None:
    parse_date(value)
    parse_internaldate(value)
    parse_day(value)
