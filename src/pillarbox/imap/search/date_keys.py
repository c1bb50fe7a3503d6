"""Search keys on dates: BEFORE, ON, SINCE, SENTBEFORE, SENTON, SENTSINCE (RFC 9051 §6.4.4), SAVEDBEFORE, SAVEDON, SAVEDSINCE
(RFC 8514), OLDER, YOUNGER (RFC 5032). Times and zones are disregarded: a day is what the calendar says, ours in UTC."""

from dataclasses import dataclass
from datetime import date

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.registry import capability
from pillarbox.imap.search.key import KEY, Key, MessageKey, Reading, ViewKey
from pillarbox.imap.search.scope import Candidate, Positions, Scope
from pillarbox.mail.date import DAY, parse_date
from pillarbox.mail.header import value_of

capability("WITHIN")

_EPOCH = date(1970, 1, 1)
_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Arrived(ViewKey):
    """INTERNALDATE is from `first` on and before `end`, epoch seconds."""

    first: int
    end: int

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By the array of dates."""
        first, end, dates = self.first, self.end, scope.internaldates
        if isinstance(candidates, range):
            chosen = enumerate(dates[candidates.start : candidates.stop], candidates.start)
            return [at for at, seconds in chosen if first <= seconds < end]
        return [at for at in candidates if first <= dates[at] < end]


@dataclass(frozen=True, slots=True)
class Age(ViewKey):
    """OLDER, YOUNGER: INTERNALDATE is so many seconds ago, or more, or less."""

    seconds: int
    younger: bool

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By the array of dates and the clock."""
        border, dates = int(scope.now) - self.seconds, scope.internaldates
        if self.younger:
            return [at for at in candidates if dates[at] >= border]
        return [at for at in candidates if dates[at] <= border]


@dataclass(frozen=True, slots=True)
class Sent(MessageKey):
    """The day of the Date field is from `first` on and before `end`, days since the epoch."""

    first: int
    end: int

    def accepts(self, candidate: Candidate) -> bool:
        """The moment decides, but near midnight the sender's calendar has to be asked."""
        seconds = candidate.record.summary.sent
        if seconds is None:
            return False
        day = seconds // DAY
        if day + 1 < self.first or day - 1 >= self.end:
            return False
        if self.first < day < self.end - 1:
            return True
        sent = parse_date(value_of(candidate.record.summary.fields, b"date") or b"")
        return self.first <= (day if sent is None else sent.day) < self.end


@dataclass(frozen=True, slots=True)
class Saved(MessageKey):
    """The message came into this mailbox from `first` on and before `end`, epoch seconds."""

    first: int
    end: int

    def accepts(self, candidate: Candidate) -> bool:
        """By its record."""
        return self.first <= candidate.record.savedate < self.end


def _days(reading: Reading, kind: str) -> tuple[int, int]:
    """The first day, and the one behind the last."""
    day = (reading.cursor.sp().date() - _EPOCH).days
    if kind == "BEFORE":
        return -_FOREVER // DAY, day
    return day, day + 1 if kind == "ON" else _FOREVER // DAY


def _register(kind: str) -> None:
    @KEY(kind)
    def arrived(reading: Reading) -> Key:
        first, end = _days(reading, kind)
        return Arrived(first * DAY, end * DAY)

    @KEY(f"SENT{kind}")
    def sent(reading: Reading) -> Key:
        return Sent(*_days(reading, kind))

    @KEY(f"SAVED{kind}")
    def saved(reading: Reading) -> Key:
        first, end = _days(reading, kind)
        return Saved(first * DAY, end * DAY)


for _kind in ("BEFORE", "ON", "SINCE"):
    _register(_kind)


def _age(reading: Reading, *, younger: bool) -> Key:
    seconds = reading.cursor.sp().number()
    if not seconds:
        raise BadSyntax("Expected a number of seconds above 0")
    return Age(seconds, younger)


@KEY("OLDER")
def older(reading: Reading) -> Key:
    """OLDER seconds."""
    return _age(reading, younger=False)


@KEY("YOUNGER")
def younger(reading: Reading) -> Key:
    """YOUNGER seconds."""
    return _age(reading, younger=True)
