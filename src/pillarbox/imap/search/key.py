"""Search keys, and the table that they put themselves into (RFC 9051 §6.4.4).

A key either narrows the candidates by the view's arrays alone (`ViewKey`), or looks at messages one by one
(`MessageKey`), saying how much it has to read of each.

Security: strangers may log in and send this: the number of keys and their nesting are bounded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.message_set import MessageSet
from pillarbox.imap.registry import Registry
from pillarbox.imap.search.scope import Candidate, Cost, Positions, Scope
from pillarbox.mail.charset import decode, is_known
from pillarbox.mail.search_text import folded

MAX_DEPTH = 100
"""Parentheses, NOT and OR inside of each other: clients write long ORs this way."""

MAX_KEYS = 2_000
"""Keys of one search."""


class Key:
    """A node of a search program."""

    __slots__ = ()

    @property
    def cost(self) -> Cost:
        """What has to be read of each message, at most."""
        return Cost.VIEW


class ViewKey(Key, ABC):
    """A key that the view's arrays answer. `looks_at_each`: it goes through all candidates, one by one."""

    __slots__ = ()

    looks_at_each: ClassVar[bool] = True

    @abstractmethod
    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """Those of the candidates that match, in order."""


class MessageKey(Key, ABC):
    """A key that looks at each message."""

    __slots__ = ()

    @property
    def cost(self) -> Cost:
        """The record, unless the key says otherwise."""
        return Cost.RECORD

    @abstractmethod
    def accepts(self, candidate: Candidate) -> bool:
        """Whether the message matches."""


@dataclass(frozen=True, slots=True)
class All(Key):
    """Every one of the keys matches."""

    keys: tuple[Key, ...]

    @property
    def cost(self) -> Cost:
        """The dearest one's."""
        return max((key.cost for key in self.keys), default=Cost.VIEW)


@dataclass(frozen=True, slots=True)
class Either(Key):
    """OR."""

    left: Key
    right: Key

    @property
    def cost(self) -> Cost:
        """The dearer one's."""
        return max(self.left.cost, self.right.cost)


@dataclass(frozen=True, slots=True)
class Not(Key):
    """NOT."""

    key: Key

    @property
    def cost(self) -> Cost:
        """The same."""
        return self.key.cost


@dataclass(frozen=True, slots=True)
class In(ViewKey):
    """sequence-set, UID sequence-set, `$`."""

    messages: MessageSet

    looks_at_each: ClassVar[bool] = False

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By binary search."""
        return scope.within(candidates, self.messages)


@dataclass(slots=True)
class Reading:
    """The state of reading one search program. `charset` is that of its strings; `uses_modseq`: the answer tells one."""

    cursor: Cursor
    charset: str = ""
    depth: int = 0
    keys: int = 0
    uses_modseq: bool = False

    def text(self) -> str:
        """A space and a string, decoded and folded for comparison."""
        octets = self.cursor.sp().astring()
        return folded(decode(octets, self.charset if is_known(self.charset) else ""))

    def key(self) -> Key:
        """search-key. Raises BadSyntax."""
        self.keys += 1
        self.depth += 1
        if self.depth > MAX_DEPTH or self.keys > MAX_KEYS:
            raise BadSyntax("The search has too many keys, or nests them too deep")
        cursor = self.cursor
        first = cursor.peek()
        if first == b"(":
            keys = cursor.parenthesised(self.key)
            key: Key = keys[0] if len(keys) == 1 else All(tuple(keys))
        elif first.isdigit() or first in (b"*", b"$"):
            key = In(cursor.number_set())  # message numbers, in UID SEARCH too
        else:
            read = KEY.get(cursor.keyword())
            if read is None:
                raise BadSyntax("There is no such search key")
            key = read(self)
        self.depth -= 1
        return key


KEY: Registry[Callable[[Reading], Key]] = Registry("search key")
"""Readers of keys by upper-case name; the cursor stands behind the name."""
