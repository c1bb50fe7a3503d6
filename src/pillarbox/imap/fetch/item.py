"""What a FETCH item is, and the tables that items and modifiers put themselves into (RFC 9051 §6.4.5, RFC 4466 §2.4)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import Registry
from pillarbox.imap.view import Selected
from pillarbox.mail.mime import Part, parse
from pillarbox.store.api import MessageRecord

if TYPE_CHECKING:
    from pillarbox.imap.session import Session
    from pillarbox.wire.outbox import Outbox


class Need:
    """What an item needs to know of a message, beyond what the mailbox's view holds. Bits of an int: they are looked at
    several times for each command, and an enum's operators are slow."""

    NOTHING = 0
    RECORD = 1
    HEADER = 2  # the octets of the header: RECORD too
    OCTETS = 4


class Message:
    """One message on its way into a FETCH response. `at` is its index in the view's arrays; `record` and `octets` are
    there when an item needs them (`octets` may be only the header)."""

    __slots__ = ("_tree", "at", "number", "octets", "record", "selected", "uid")

    def __init__(self, selected: Selected) -> None:
        self.selected = selected
        self.number = self.uid = self.at = 0
        self.record: MessageRecord
        self.octets = b""
        self._tree: Part | None = None

    def turn_to(self, number: int, uid: int, at: int) -> None:
        """Become the next message."""
        self.number, self.uid, self.at = number, uid, at
        self._tree = None

    @property
    def tree(self) -> Part:
        """The tree of its parts, worked out once for all items. Needs OCTETS."""
        if self._tree is None:
            self._tree = parse(self.octets)
        return self._tree

    @tree.setter
    def tree(self, tree: Part | None) -> None:
        self._tree = tree

    @property
    def size(self) -> int:
        """RFC822.SIZE."""
        return self.selected.view.sizes[self.at]


class Value(Protocol):
    """An item of a FETCH command whose value is short."""

    @property
    def needs(self) -> int: ...
    @property
    def marks_seen(self) -> bool: ...

    def value(self, message: Message) -> bytes:
        """Name and value as they are sent. Raises Refused."""


class Literal(ABC):
    """An item of a FETCH command that sends octets of the message under a label. `marks_seen`: fetching it sets \\Seen.
    `looks_inside`: it needs the message's tree. `is_made`: it is worked out from the whole message, not a range of it."""

    __slots__ = ()
    label: bytes
    needs: int
    marks_seen: bool

    @property
    def looks_inside(self) -> bool:
        """See the class."""
        return False

    @property
    def is_made(self) -> bool:
        """See the class."""
        return False

    @abstractmethod
    def write(self, message: Message, pieces: list[bytes]) -> None:
        """Add name and value; the octets are a piece of their own, so that they are not copied. Raises Refused."""

    def place(self, _message: Message) -> tuple[int, int] | None:
        """Where its octets stand in the message; None when it has to be written."""
        return None

    def check(self, message: Message) -> None:  # noqa: B027 - most never fail
        """Raises Refused if `write` would."""


Item = Value | Literal


class Plain:
    """An item without arguments that is answered from the view."""

    __slots__ = ()
    needs = Need.NOTHING
    marks_seen = False


class Recorded(Plain):
    """An item without arguments that is answered from the message's record."""

    __slots__ = ()
    needs = Need.RECORD


class Modifier(Protocol):
    """A modifier of FETCH: `(CHANGEDSINCE 12)`. `items` are fetched too."""

    @property
    def items(self) -> tuple[Item, ...]: ...

    def narrow(self, session: "Session", spans: list[range], out: "Outbox") -> list[range]:
        """The positions that are left; untagged responses that come before the messages go to `out`."""


ITEM: Registry[Callable[[Cursor], Item]] = Registry("FETCH item")
"""Readers of items by upper-case name; the cursor stands behind the name."""

MODIFIER: Registry[Callable[[Cursor], Modifier]] = Registry("FETCH modifier")
"""Readers of modifiers by upper-case name; the cursor stands behind the name."""
