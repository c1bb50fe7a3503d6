"""The table that commands put themselves into, and that everything else is derived from: dispatch, the state check, the
CAPA response and docs/protocols.md."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pillarbox.pop3.session import Session


class State(Flag):
    """Where a session stands (RFC 1939 §3). UPDATE is no state here: it is what QUIT does."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()

    ANY = AUTHORIZATION | TRANSACTION


Run = Callable[["Session", bytes], Awaitable[bytes]]
"""Does a command; takes the octets after the first space and returns the reply, or its end when most of it is in `out`
already. Raises BadSyntax, Refused, Disconnect, StoreError."""

Arguments = Callable[["Session"], str | None]
"""A capability's arguments for a session as it is now ("" for none), or None when it is not announced now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command's row. `syntax` is shown to people; a command whose syntax is its `bare` name takes no argument. `states` are
    the single states in `state`, a tuple: neither an operator nor the hash of an enum is needed to look one up."""

    name: str
    syntax: str
    state: State
    rfc: str
    run: Run
    capability: str = ""
    states: tuple[State, ...] = field(init=False)
    bare: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(self.state))
        object.__setattr__(self, "bare", self.syntax == self.name)


TABLE: dict[bytes, Entry] = {}
"""Commands by upper-case name."""

CAPABILITIES: dict[str, Arguments] = {}
"""Capabilities (RFC 2449 §6) in the order of announcement."""


def command(syntax: str, *, state: State, rfc: str, capability: str = "") -> Callable[[Run], Run]:
    """Register a command, and the capability that announces it; its name is the first word of its syntax."""

    def register(run: Run) -> Run:
        name = syntax.partition(" ")[0]
        if name.encode() in TABLE:
            raise ValueError(f"two commands are named {name}")
        TABLE[name.encode()] = Entry(name, syntax, state, rfc, run, capability)
        if capability and capability not in CAPABILITIES:
            CAPABILITIES[capability] = lambda _session: ""
        return run

    return register


def capability(tag: str) -> Callable[[Arguments], Arguments]:
    """Say when a capability is announced, and with which arguments."""

    def register(arguments: Arguments) -> Arguments:
        CAPABILITIES[tag] = arguments
        return arguments

    return register


def load(package: str) -> None:
    """Import every module of a package, so that it registers itself."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
