"""The tables that commands and extensions register in; EHLO's list, the state checks and the documentation read them.

To add a verb: one file in `commands/`. To add an EHLO keyword: one file in `extensions/`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, Self, TypeVar

from pillarbox.mail.status import Reply
from pillarbox.smtp.session import Session


class When(Enum):
    """When a command is in order (RFC 5321 §4.1.4)."""

    ANYTIME = "at any time"
    BETWEEN = "after HELO or EHLO, outside of a transaction"
    TRANSACTION = "after MAIL"


class Command(Protocol):
    """One verb: its arguments, and what it does."""

    @classmethod
    def parse(cls, arguments: str) -> Self:
        """Read what follows the verb, spaces around it removed. Raises Refused."""

    async def run(self, session: Session) -> Reply | None:
        """Do it; None when the reply comes later (BDAT's, after its chunk). Raises Refused; anything else is a bug."""


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A verb's row. `login`: on submission only after AUTH. `before_tls`: works on submission without TLS too.
    `alone`: nothing may be pipelined behind it. `utf8`: arguments may be UTF-8, the command itself checks SMTPUTF8.
    `offered`: whether it exists in this session (None: always)."""

    verb: str
    rfc: str
    command: type[Command]
    when: When = When.ANYTIME
    login: bool = False
    before_tls: bool = False
    alone: bool = False
    utf8: bool = False
    offered: Callable[[Session], bool] | None = None

    @property
    def summary(self) -> str:
        """The first sentence of the command's docstring."""
        return first_sentence(self.command.__doc__)


COMMANDS: dict[bytes, CommandEntry] = {}
"""Every verb, by its upper-case name."""

_C = TypeVar("_C", bound=type[Command])


def command(
    verb: str,
    rfc: str,
    *,
    when: When = When.ANYTIME,
    login: bool = False,
    before_tls: bool = False,
    alone: bool = False,
    utf8: bool = False,
    offered: Callable[[Session], bool] | None = None,
) -> Callable[[_C], _C]:
    """Register a class as the implementation of a verb; see CommandEntry."""

    def register(cls: _C) -> _C:
        key = verb.encode()
        if key in COMMANDS:
            raise ValueError(f"{verb} is registered twice")
        COMMANDS[key] = CommandEntry(verb, rfc, cls, when, login, before_tls, alone, utf8, offered)
        return cls

    return register


ParameterCheck = Callable[[Session, str], None]
"""Looks at a parameter's value ("" where there is none). Raises Refused."""


@dataclass(frozen=True, slots=True)
class Extension:
    """An EHLO keyword. `offer` gives its parameters in this session ("" for none), or None where it is not offered.
    `mail_parameters` and `rcpt_parameters` are what MAIL and RCPT may carry because of it."""

    keyword: str
    rfc: str
    summary: str
    offer: Callable[[Session], str | None] = lambda _session: ""
    mail_parameters: Mapping[str, ParameterCheck] = field(default_factory=dict)
    rcpt_parameters: Mapping[str, ParameterCheck] = field(default_factory=dict)


EXTENSIONS: dict[str, Extension] = {}
"""Every extension by keyword."""

MAIL_PARAMETERS: dict[str, tuple[Extension, ParameterCheck]] = {}
RCPT_PARAMETERS: dict[str, tuple[Extension, ParameterCheck]] = {}


def extension(entry: Extension) -> Extension:
    """Register an extension and the parameters that come with it."""
    if entry.keyword in EXTENSIONS:
        raise ValueError(f"{entry.keyword} is registered twice")
    EXTENSIONS[entry.keyword] = entry
    MAIL_PARAMETERS.update({name: (entry, check) for name, check in entry.mail_parameters.items()})
    RCPT_PARAMETERS.update({name: (entry, check) for name, check in entry.rcpt_parameters.items()})
    return entry


def offered(session: Session) -> list[str]:
    """EHLO's lines for this session, in order of registration."""
    lines = []
    for entry in EXTENSIONS.values():
        value = entry.offer(session)
        if value is not None:
            lines.append(f"{entry.keyword} {value}".rstrip())
    return lines


def first_sentence(docstring: str | None) -> str:
    """The first sentence of a docstring on one line, without what stands in parentheses at its end."""
    text = " ".join((docstring or "").split())
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].rstrip(".")
