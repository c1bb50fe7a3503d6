"""Search keys on flags and keywords (RFC 9051 §6.4.4); NEW, OLD and RECENT (RFC 3501 §6.4.4)."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pillarbox.imap.search.key import KEY, All, Key, Not, Reading, ViewKey
from pillarbox.imap.search.scope import Positions, Scope
from pillarbox.store.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN


@dataclass(frozen=True, slots=True)
class HasFlag(ViewKey):
    """The message has a flag (lower case: keywords are compared without regard to case), or lacks it."""

    flag: str
    wanted: bool

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By the numbers of the sets of flags that hold it."""
        flag, wanted, flags = self.flag, self.wanted, scope.flags
        numbers = {
            number
            for number, each in enumerate(scope.flag_sets)
            if any(name.lower() == flag for name in each) is wanted
        }
        if not numbers:
            return []
        if len(numbers) == len(scope.flag_sets):
            return candidates
        if isinstance(candidates, range):
            chosen = enumerate(flags[candidates.start : candidates.stop], candidates.start)
            return [at for at, number in chosen if number in numbers]
        return [at for at in candidates if flags[at] in numbers]


@dataclass(frozen=True, slots=True)
class Recent(ViewKey):
    """RECENT: this session is the first to be told of the message."""

    looks_at_each: ClassVar[bool] = False

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """What is behind the border."""
        start = bisect_left(candidates, scope.selected.recent_from, key=scope.uids.__getitem__)
        return candidates[start:]


@dataclass(frozen=True, slots=True)
class Everything(ViewKey):
    """ALL, SAVEDATESUPPORTED."""

    looks_at_each: ClassVar[bool] = False

    def select(self, _scope: Scope, candidates: Positions) -> Positions:
        """All of them."""
        return candidates


def _reader(key: Key) -> Callable[[Reading], Key]:
    return lambda _reading: key


for _name, _flag in (
    ("ANSWERED", ANSWERED), ("DELETED", DELETED), ("DRAFT", DRAFT), ("FLAGGED", FLAGGED), ("SEEN", SEEN),
):  # fmt: skip
    KEY(_name)(_reader(HasFlag(_flag.lower(), wanted=True)))
    KEY(f"UN{_name}")(_reader(HasFlag(_flag.lower(), wanted=False)))

KEY("ALL", "SAVEDATESUPPORTED")(_reader(Everything()))
KEY("RECENT")(_reader(Recent()))
KEY("OLD")(_reader(Not(Recent())))
KEY("NEW")(_reader(All((Recent(), HasFlag(SEEN.lower(), wanted=False)))))


@KEY("KEYWORD")
def keyword(reading: Reading) -> Key:
    """KEYWORD flag."""
    return HasFlag(reading.cursor.sp().flag().lower(), wanted=True)


@KEY("UNKEYWORD")
def unkeyword(reading: Reading) -> Key:
    """UNKEYWORD flag."""
    return HasFlag(reading.cursor.sp().flag().lower(), wanted=False)
