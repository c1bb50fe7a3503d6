"""What a FETCH item is, and the tables that items and modifiers put themselves into (RFC 9051 §6.4.5, RFC 4466 §2.4).

Short values are worked out by columns, one item for all messages of a batch: a call for each message and item would cost
more than the values do. Octets of messages are written one message at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import Registry
from pillarbox.imap.view import Columns, Selected
from pillarbox.mail.mime import Part, parse_anyway
from pillarbox.mail.summary import Listed, listed
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
    LISTED = 8  # a part of the record, for less; beside any of the others it is the record


class Message:
    """One message of a batch, for items that look at its octets. `size` is RFC822.SIZE; `record` and `octets` are there
    when an item needs them (`octets` may be only the header)."""

    __slots__ = ("_tree", "octets", "record", "size")

    record: MessageRecord

    def __init__(self, size: int, octets: bytes = b"") -> None:
        self.size = size
        self.octets = octets
        self._tree: Part | None = None

    @property
    def tree(self) -> Part:
        """The tree of its parts, worked out once for all items. Needs OCTETS."""
        if self._tree is None:
            self._tree = parse_anyway(self.octets)
        return self._tree

    @tree.setter
    def tree(self, tree: Part | None) -> None:
        self._tree = tree


class Batch:
    """Messages on their way into FETCH responses, as columns: sequence numbers, UIDs, indices `at` in the view's arrays,
    and records, or what is `listed` of them, if an item needs that. Valid until something is awaited."""

    __slots__ = ("_listed", "_messages", "at", "contents", "numbers", "records", "selected", "uids")

    def __init__(
        self,
        selected: Selected,
        columns: Columns,
        records: Sequence[MessageRecord] = (),
        contents: Sequence[bytes] = (),
        listed: Sequence[Listed] | None = None,
    ) -> None:
        self.selected = selected
        self.numbers, self.uids, self.at = columns
        self.records = records
        self.contents = contents
        self._listed = listed
        self._messages: list[Message] | None = None

    @property
    def listed(self) -> Sequence[Listed]:
        """Envelope, bodystructure, kept fields and header size of each."""
        if self._listed is None:
            self._listed = [listed(record.summary) for record in self.records]
        return self._listed

    @property
    def messages(self) -> list[Message]:
        """One by one."""
        if self._messages is None:
            sizes = self.selected.view.sizes
            if self.contents:
                self._messages = [Message(sizes[at], octets) for at, octets in zip(self.at, self.contents, strict=True)]
            else:
                self._messages = [Message(sizes[at]) for at in self.at]
            if self.records:
                for message, record in zip(self._messages, self.records, strict=True):
                    message.record = record
        return self._messages

    @messages.setter
    def messages(self, messages: list[Message]) -> None:
        self._messages = messages


class Value(Protocol):
    """An item of a FETCH command whose value is short. `template` is name and value as they are sent, for `%`."""

    @property
    def needs(self) -> int: ...
    @property
    def marks_seen(self) -> bool: ...
    @property
    def template(self) -> bytes: ...

    def columns(self, batch: Batch) -> tuple[Iterable[object], ...]:
        """What goes into each place of the template, for all messages. Raises Refused."""


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


class Plain(ABC):
    """An item without arguments that is answered from the view, with one value."""

    __slots__ = ()
    needs = Need.NOTHING
    marks_seen = False

    def columns(self, batch: Batch) -> tuple[Iterable[object]]:
        """See Value."""
        return (self.column(batch),)

    @abstractmethod
    def column(self, batch: Batch) -> Iterable[object]:
        """The value for each message. Raises Refused."""


class Recorded(Plain):
    """An item without arguments that is answered from the message's record."""

    __slots__ = ()
    needs = Need.RECORD


class Listing(Plain):
    """An item without arguments that is answered from what is listed of the message's record."""

    __slots__ = ()
    needs = Need.LISTED


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
