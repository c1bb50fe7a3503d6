"""Dates in mail: RFC 5322 §3.3 and its obsolete forms (§4.3), and IMAP's date-time and date (RFC 9051 §9).

Security: strangers write Date fields. Linear, never raises; what is no date is None.
"""

import re
from datetime import date as calendar
from functools import lru_cache
from typing import NamedTuple

DAY = 86_400
_EPOCH = calendar(1970, 1, 1).toordinal()

_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# RFC 5322 §4.3; military zones say nothing reliable and count as -0000.
_ZONES = {
    b"est": -300,
    b"edt": -240,
    b"cst": -360,
    b"cdt": -300,
    b"mst": -420,
    b"mdt": -360,
    b"pst": -480,
    b"pdt": -420,
}

_RFC5322 = re.compile(
    rb"[ \t]*(?:[A-Za-z]{2,9}[,. \t]\s*)?(\d{1,2})[ \t-]+([A-Za-z]{3})[A-Za-z]{0,6}[.,]?[ \t-]+(\d{2,4})"
    rb"[,T \t]+(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d+)?)?[ \t]*(?:([+-])(\d{1,2}):?(\d{2})|([A-Za-z]{1,5}))?"
)
_ASCTIME = re.compile(
    rb"[ \t]*[A-Za-z]{3,9}[, \t]+([A-Za-z]{3})[A-Za-z]{0,6}[, \t]+(\d{1,2})[, \t]+(\d{1,2}):(\d{1,2}):(\d{1,2})"
    rb"(?:[ \t]+[A-Z]{3,4})?[ \t]+(\d{4})"
)
_DATE_TIME = re.compile(
    rb"([ \d]?\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)  # date-time without its quotes
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_COMMENT = re.compile(rb"\([^()]*\)")


class SentDate(NamedTuple):
    """`seconds` since the epoch in UTC, and `day` since the epoch as the sender's calendar showed it (SENTON)."""

    seconds: int
    day: int


def parse_date(value: bytes) -> SentDate | None:
    """The unfolded value of a Date field."""
    found = _RFC5322.match(value)
    if found is None and b"(" in value:
        value = _COMMENT.sub(b" ", value)
        found = _RFC5322.match(value)
    if found is None:
        return _parse_asctime(value)
    day, month, year, hours, minutes, seconds, sign, zone_hours, zone_minutes, zone = found.groups()
    years = int(year)
    if len(year) == 2:  # RFC 5322 §4.3
        years += 2000 if years < 50 else 1900
    elif len(year) == 3:
        years += 1900
    number = day_number(years, month, int(day))
    if number is None:
        return None
    offset = 0
    if sign is not None:
        offset = int(zone_hours) * 60 + int(zone_minutes)
        offset = -offset if sign == b"-" else offset
    elif zone is not None:
        offset = _ZONES.get(zone.lower(), 0)
    clock = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
    return SentDate(number * DAY + clock - offset * 60, number)


def _parse_asctime(value: bytes) -> SentDate | None:
    found = _ASCTIME.match(value)
    if found is None:
        return None
    number = day_number(int(found[6]), found[1], int(found[2]))
    if number is None:
        return None
    return SentDate(number * DAY + int(found[3]) * 3600 + int(found[4]) * 60 + int(found[5]), number)


@lru_cache(maxsize=1024)
def day_number(year: int, month: bytes, day: int) -> int | None:
    """Days since the epoch, or None when there is no such day. `month` is "Jan" to "Dec" in any case."""
    number = _MONTHS.get(month.lower())
    if number is None:
        return None
    try:
        return calendar(year, number, day).toordinal() - _EPOCH
    except ValueError:
        return None


def parse_internaldate(octets: bytes) -> int | None:
    """IMAP's date-time, without its quotes, to epoch seconds. None when it is malformed or no such moment exists."""
    found = _DATE_TIME.fullmatch(octets)
    if found is None:
        return None
    number = day_number(int(found[3]), found[2], int(found[1]))
    hours, minutes, seconds = int(found[4]), int(found[5]), int(found[6])
    zone_hours, zone_minutes = int(found[8]), int(found[9])
    if number is None or hours > 23 or minutes > 59 or seconds > 60 or zone_hours > 23 or zone_minutes > 59:
        return None
    offset = zone_hours * 3600 + zone_minutes * 60
    return number * DAY + hours * 3600 + minutes * 60 + seconds - (offset if found[7] == b"+" else -offset)


def parse_day(octets: bytes) -> int | None:
    """IMAP's date ("1-Feb-1994", quoted or not) to days since the epoch, None when it is malformed."""
    found = _DATE.fullmatch(octets)
    return None if found is None else day_number(int(found[3]), found[2], int(found[1]))


@lru_cache(maxsize=4096)
def _day_text(number: int) -> bytes:
    day = calendar.fromordinal(max(1, min(number + _EPOCH, calendar.max.toordinal())))
    return f"{day.day:2d}-{_MONTH_NAMES[day.month - 1]}-{day.year:04d}".encode()


# Listings ask for thousands of dates: all that can be is made once, and joining costs half of formatting.
_MINUTES = [b" %02d:%02d:" % divmod(minute, 60) for minute in range(24 * 60)]
_SECONDS = [b"%02d +0000" % second for second in range(60)]


def internaldate(seconds: int) -> bytes:
    """Epoch seconds as IMAP's date-time in UTC, without quotes: `17-Jul-1996 02:44:25 +0000`."""
    clock = seconds % DAY
    return _day_text(seconds // DAY) + _MINUTES[clock // 60] + _SECONDS[clock % 60]
