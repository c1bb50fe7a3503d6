"""Cursor: reads a command's arguments off its octets (RFC 9051 §9, RFC 3501 §9). Each method reads one rule of the grammar.

Security: strangers feed this. Compiled patterns that cannot backtrack; nothing recursive; only BadSyntax leaves it.
"""

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Self, TypeVar

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.mailbox_name import decode_utf7
from pillarbox.imap.message_set import STAR, MessageSet
from pillarbox.store.flags import RECENT, Flags, canonical

T = TypeVar("T")

TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")  # RFC 9051 §9: ASTRING-CHARs but "+"
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_LIST_MAILBOX = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~%*]+")
_LIST_MAILBOX_UTF8 = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~%*\x80-\xff]+")
_QUOTED = re.compile(rb'"([^"\\\r\n\x80-\xff]*(?:\\["\\][^"\\\r\n\x80-\xff]*)*)"')
_QUOTED_UTF8 = re.compile(rb'"([^"\\\r\n]*(?:\\["\\][^"\\\r\n]*)*)"')
_QUOTED_PAIR = re.compile(rb'\\(["\\])')
_BACKSLASH = 0x5C
_LITERAL = re.compile(rb"\{([0-9]{1,19})\+?\}\r\n")
_ANNOUNCEMENT = re.compile(rb"~?\{([0-9]{1,19})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_SET = re.compile(
    rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?(?:,(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?)*"
)
_DATE_TIME = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_MONTHS = {month.lower().encode(): n for n, month in enumerate(calendar.month_abbr) if month}

MAX_NUMBER = 2**32 - 1
MAX_NUMBER64 = 2**63 - 1
MAX_RANGES = 20_000  # of one set: some 20 milliseconds; other servers stop at lines of 64 KiB, which hold half as many
MAX_FLAG = 255  # octets: a keyword is a word, not a document


class Cursor:
    """A position in a command's octets. `by_uid`: it was given as "UID ..."; `utf8`: names and strings may be UTF-8."""

    __slots__ = ("by_uid", "octets", "position", "utf8")

    def __init__(self, octets: bytes, position: int = 0, *, utf8: bool = False, by_uid: bool = False) -> None:
        self.octets = octets
        self.position = position
        self.utf8 = utf8
        self.by_uid = by_uid

    # The two that everything else is made of.

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Read what the pattern matches here, or stay."""
        found = pattern.match(self.octets, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def accept(self, octets: bytes) -> bool:
        """Read exactly these octets, if they stand here."""
        if self.octets.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def peek(self) -> bytes:
        """The next octet, b"" at the end."""
        return self.octets[self.position : self.position + 1]

    def expect(self, octets: bytes, what: str) -> Self:
        """Read exactly these octets. Raises BadSyntax."""
        if not self.accept(octets):
            raise BadSyntax(f"Expected {what}")
        return self

    def sp(self) -> Self:
        """One space: `cursor.sp().mailbox()`."""
        if self.octets[self.position : self.position + 1] != b" ":
            raise BadSyntax("Expected a space and another argument")
        self.position += 1
        return self

    def end(self) -> None:
        """Nothing may follow."""
        if self.position != len(self.octets):
            raise BadSyntax("Unexpected octets after the arguments")

    def rest(self) -> bytes:
        """Everything up to the end, whatever it is."""
        start, self.position = self.position, len(self.octets)
        return self.octets[start:]

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return self.position == len(self.octets)

    def parenthesised(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """A list in parentheses, items separated by one space. One inside of each parenthesis is forgiven: programs that join
        words send it, aioimaplib for one."""
        self.expect(b"(", "a list in parentheses").accept(b" ")
        items: list[T] = []
        if empty and self.accept(b")"):
            return items
        while True:
            items.append(item())
            if self.accept(b")") or self.sp().accept(b")"):
                return items

    # Words.

    def atom(self) -> bytes:
        """atom."""
        found = self.match(_ATOM)
        if found is None:
            raise BadSyntax("Expected a word")
        return found[0]

    def keyword(self) -> str:
        """An atom that is one of the protocol's own words, in upper case."""
        return self.atom().decode("ascii").upper()

    def string(self) -> bytes:
        """string = quoted / literal."""
        if (found := self.match(_QUOTED_UTF8 if self.utf8 else _QUOTED)) is not None:
            text = found[1]
            return _QUOTED_PAIR.sub(rb"\1", text) if _BACKSLASH in text else text
        if (found := self.match(_LITERAL)) is not None:
            start = self.position
            self.position = start + int(found[1])
            if self.position > len(self.octets):
                raise BadSyntax("The literal is not complete")
            return self.octets[start : self.position]
        raise BadSyntax("Expected a string")

    def announcement(self) -> bool:
        """Read a literal's "{5}" without its octets, which went elsewhere; whether one stands here."""
        return self.match(_ANNOUNCEMENT) is not None

    def astring(self) -> bytes:
        """astring = 1*ASTRING-CHAR / string."""
        found = self.match(_ASTRING)
        return found[0] if found is not None else self.string()

    def nstring(self) -> bytes | None:
        """nstring = string / nil."""
        if self.octets[self.position : self.position + 3].upper() == b"NIL":
            self.position += 3
            return None
        return self.string()

    def text(self) -> str:
        """An astring that is UTF-8."""
        return _utf8(self.astring())

    def number(self) -> int:
        """number: 32 bits."""
        return self._number(MAX_NUMBER)

    def number64(self) -> int:
        """number64, mod-sequence-valzer: 63 bits."""
        return self._number(MAX_NUMBER64)

    def _number(self, largest: int) -> int:
        found = self.match(_NUMBER)
        if found is None or (number := int(found[0])) > largest:
            raise BadSyntax("Expected a number")
        return number

    # Mailboxes, flags, messages.

    def mailbox(self) -> str:
        """mailbox: INBOX in any case; else as it is named, from modified UTF-7 or UTF-8."""
        return self._name(self.astring())

    def list_mailbox(self) -> str:
        """list-mailbox: a name that may hold the wildcards % and *."""
        found = self.match(_LIST_MAILBOX_UTF8 if self.utf8 else _LIST_MAILBOX)
        return self._name(found[0] if found is not None else self.string())

    def _name(self, octets: bytes) -> str:
        name = _utf8(octets) if self.utf8 else decode_utf7(_ascii(octets))
        return "INBOX" if name.upper() == "INBOX" else name

    def flag(self) -> str:
        """flag, system flags in their standard spelling."""
        found = self.match(_FLAG)
        if found is None or len(found[0]) > MAX_FLAG:
            raise BadSyntax("Expected a flag")
        return canonical(found[0].decode("ascii"))

    def flags(self) -> Flags:
        """flag-list, without \\Recent, which clients cannot change (RFC 3501 §2.3.2)."""
        return frozenset(self.parenthesised(self.flag, empty=True)) - {RECENT}

    def message_set(self) -> MessageSet:
        """sequence-set or "$", by UID when the command was given as "UID ..."."""
        return self._set(by_uid=self.by_uid)

    def number_set(self) -> MessageSet:
        """sequence-set of sequence numbers, always (a search key, even in UID SEARCH)."""
        return self._set(by_uid=False)

    def uid_set(self) -> MessageSet:
        """sequence-set of UIDs, always."""
        return self._set(by_uid=True)

    def _set(self, *, by_uid: bool) -> MessageSet:
        if self.accept(b"$"):
            return MessageSet((), by_uid=by_uid, saved=True)
        found = self.match(_SET)
        if found is None:
            raise BadSyntax("Expected a set of message numbers")
        if found[0].isdigit():  # one message: the commonest, and quickly read
            number = _place(found[0])
            return MessageSet(((number, number),), by_uid=by_uid)
        ranges = []
        parts = dict.fromkeys(found[0].split(b","))
        if len(parts) > MAX_RANGES:
            raise BadSyntax("Expected fewer ranges in one set")
        for part in parts:
            low, colon, high = part.partition(b":")
            first = _place(low)
            ranges.append((first, _place(high) if colon else first))
        return MessageSet(tuple(ranges), by_uid=by_uid)

    # Time.

    def date_time(self) -> int:
        """date-time, as epoch seconds."""
        found = self.match(_DATE_TIME)
        if found is None:
            raise BadSyntax('Expected a date and time like "17-Jul-1996 02:44:25 -0700"')
        day, month, year, hour, minute, second, sign, zone_hour, zone_minute = found.groups()
        offset = timedelta(hours=int(zone_hour), minutes=int(zone_minute))
        try:
            moment = datetime(
                int(year), _month(month), int(day), int(hour), int(minute), min(int(second), 59),
                tzinfo=timezone(-offset if sign == b"-" else offset),
            )  # fmt: skip
            return int(moment.timestamp())
        except (ValueError, OverflowError):
            raise BadSyntax("There is no such date and time") from None

    def date(self) -> date:
        """date = date-text / quoted date-text (search keys)."""
        found = self.match(_DATE)
        if found is None:
            raise BadSyntax("Expected a date like 1-Feb-1994")
        try:
            return date(int(found[4]), _month(found[3]), int(found[2]))
        except ValueError:
            raise BadSyntax("There is no such date") from None


def _place(digits: bytes) -> int:
    """seq-number = nz-number / "*"."""
    if digits == b"*":
        return STAR
    if (number := int(digits)) > MAX_NUMBER:
        raise BadSyntax("Expected a set of message numbers")
    return number


def _month(name: bytes) -> int:
    return _MONTHS.get(name.lower(), 0)


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("The string is not UTF-8") from None


def _ascii(octets: bytes) -> str:
    try:
        return octets.decode("ascii")
    except UnicodeDecodeError:
        raise BadSyntax("Names are in modified UTF-7 until ENABLE IMAP4rev2 or UTF8=ACCEPT") from None
