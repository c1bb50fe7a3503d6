"""The tables that commands, FETCH items and SEARCH keys put themselves into, and that everything else is derived from:
dispatch, the state check, the CAPABILITY line and docs/protocols.md."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from pillarbox.imap.grammar import Cursor
from pillarbox.imap.response import Completion
from pillarbox.store.spool import Spool
from pillarbox.wire.outbox import Outbox

if TYPE_CHECKING:
    from pillarbox.imap.session import Session


class State(Flag):
    """Where a session stands (RFC 9051 §3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()

    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED
    LOGGED_IN = AUTHENTICATED | SELECTED


NOT_AUTHENTICATED, AUTHENTICATED, SELECTED = State
"""For each command: see `wire.engine.OCTETS`."""


class Dialogue(Protocol):
    """A command that goes on with the client's next lines (AUTHENTICATE, IDLE)."""

    async def line(self, line: bytes, session: "Session", out: Outbox) -> Completion | None:
        """Take one line, without its line end; None: go on."""


class Command(Protocol):
    """One command with its arguments: a frozen dataclass."""

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Read the arguments, from the octet after the command's name to the end. Raises BadSyntax."""

    async def run(self, session: "Session", out: Outbox) -> Completion | Dialogue:
        """Do it; untagged responses go to `out`. Raises Refused, BadSyntax, Disconnect, StoreError."""


class Bare:
    """A command without arguments."""

    __slots__ = ()

    @classmethod
    def parse(cls, _cursor: Cursor) -> Self:
        """Nothing to read: what follows is an error of the caller's."""
        return cls()


Upload = Callable[[Cursor, int, "Session"], Awaitable[Spool | None]]

C = TypeVar("C", bound=Command)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Entry:
    """A command's row. `by_uid`: it is the "UID ..." form. `breaks_numbers`: EXPUNGE may be sent before it completes
    (RFC 9051 §7.5.1: not for FETCH, STORE and SEARCH, whose sequence numbers the client is still using). `upload` says
    where a literal goes that is too large for a command: a spool, or None when it is an ordinary argument. `private`: its
    arguments are secrets, which are not even asked for outside of TLS. `states` are the single states in `state`: finding
    one of three costs a tenth of an operator of an enum, and less than its hash."""

    name: str
    command: type[Command]
    state: State
    capability: str
    by_uid: bool
    breaks_numbers: bool
    upload: Upload | None = None
    private: bool = False
    states: tuple[State, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(self.state))


TABLE: dict[bytes, Entry] = {}
"""Commands by upper-case name, "UID FETCH" included."""


def command(
    name: str,
    *,
    state: State,
    capability: str = "",
    uid: bool = False,
    breaks_numbers: bool = True,
    upload: Upload | None = None,
    private: bool = False,
) -> Callable[[type[C]], type[C]]:
    """Register a command; with `uid` also its "UID ..." form (tell them apart by `cursor.by_uid`)."""

    def register(cls: type[C]) -> type[C]:
        entry = Entry(
            name, cls, state, capability, by_uid=False, breaks_numbers=breaks_numbers, upload=upload, private=private
        )
        _add(entry)
        if uid:
            _add(Entry(f"UID {name}", cls, state, capability, by_uid=True, breaks_numbers=True))
        return cls

    return register


def _add(entry: Entry) -> None:
    key = entry.name.encode()
    if key in TABLE:
        raise ValueError(f"two commands are named {entry.name}")
    TABLE[key] = entry


class Registry(Generic[V]):
    """A table of the same kind for what a command's arguments name: FETCH items, SEARCH keys, STATUS items."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._entries: dict[str, V] = {}

    def __call__(self, *names: str) -> Callable[[V], V]:
        """Register under these upper-case names: `@item("ENVELOPE")`."""

        def register(value: V) -> V:
            for name in names:
                if name in self._entries:
                    raise ValueError(f"two {self._kind}s are named {name}")
                self._entries[name] = value
            return value

        return register

    def get(self, name: str) -> V | None:
        """What is registered under an upper-case name."""
        return self._entries.get(name)

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return iter(self._entries.items())


CAPABILITIES: dict[str, bool] = {}
"""Capabilities that no single command brings, in the order of announcement; True: also before login."""


def capability(*names: str, before_login: bool = False) -> None:
    """Announce capabilities (RFC 9051 §7.2.2)."""
    for name in names:
        CAPABILITIES[name] = before_login


def load(package: str) -> None:
    """Import every module of a package, so that it registers itself."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
