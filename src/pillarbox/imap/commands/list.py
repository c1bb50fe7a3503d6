"""LIST (RFC 9051 §6.3.9) with selection and return options (RFC 5258), STATUS (RFC 5819) and special uses (RFC 6154).

Special uses and children are shown in every reply: Apple Mail never asks for them, and needs them.
"""

from collections.abc import Iterable
from typing import Self

import msgspec

from pillarbox.imap.commands.status import read_items, status_response
from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.list_pattern import Pattern
from pillarbox.imap.registry import State, capability, command
from pillarbox.imap.response import Completion, mailbox, ok
from pillarbox.imap.session import Session
from pillarbox.store.api import INBOX, SEPARATOR, MailboxInfo
from pillarbox.store.names import parents
from pillarbox.wire.outbox import Outbox

capability("LIST-STATUS", "SPECIAL-USE")

_SELECTIONS = {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"}
_RETURNS = {"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"}
MAX_PATTERNS = 100  # each is compared with each name


@command("LIST", state=State.LOGGED_IN, capability="LIST-EXTENDED")
class List(msgspec.Struct, frozen=True):
    """Which mailboxes there are. `status`: the items of RETURN (STATUS ...)."""

    reference: str
    patterns: tuple[str, ...]
    selections: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        selections: frozenset[str] = frozenset()
        cursor.sp()
        if cursor.peek() == b"(":
            selections = frozenset(cursor.parenthesised(cursor.keyword, empty=True))
            cursor.sp()
        if selections - _SELECTIONS or (
            "RECURSIVEMATCH" in selections and not selections & {"SUBSCRIBED", "SPECIAL-USE"}
        ):
            raise BadSyntax("Those selection options of LIST are not known together")
        reference = cursor.mailbox()
        cursor.sp()
        patterns = cursor.parenthesised(cursor.list_mailbox) if cursor.peek() == b"(" else [cursor.list_mailbox()]
        if len(patterns) > MAX_PATTERNS:
            raise BadSyntax(f"Expected at most {MAX_PATTERNS} patterns")
        if cursor.at_end:
            return cls(reference, tuple(patterns), selections)
        if cursor.sp().keyword() != "RETURN":
            raise BadSyntax("Expected RETURN")
        returns: set[str] = set()
        status: list[str] = []
        cursor.sp().parenthesised(lambda: _return_option(cursor, returns, status), empty=True)
        return cls(reference, tuple(patterns), selections, frozenset(returns), tuple(status))

    async def run(self, session: Session, out: Outbox) -> Completion:
        if self.patterns == ("",) and not self.selections:
            out.write(b'* LIST (\\Noselect) "/" ""\r\n')  # RFC 9051 §6.3.9: what the separator is
            return ok("LIST completed")
        found = {info.name: info for info in await session.mail.mailboxes(session.account)}
        subscribed = set()
        if "SUBSCRIBED" in self.selections | self.returns:
            subscribed = set(await session.mail.subscriptions(session.account))
        names = Names(found.values(), subscribed)
        patterns = [Pattern(self.reference + pattern) for pattern in self.patterns]
        for name in self._candidates(names):
            if not any(pattern.matches(name) for pattern in patterns):
                continue
            line = self._line(names, name, utf8=session.utf8)
            if line is None:
                continue
            out.write(line)
            if self.status and name in found:
                view = await session.mail.open_by_id(session.account, found[name].id)
                out.write(await status_response(session, view, self.status))
                await out.drain()
        return ok("LIST completed")

    def _candidates(self, names: "Names") -> list[str]:
        """Names that may be shown: with SUBSCRIBED also such that do not exist; levels above, which need not exist."""
        candidates = set(names.found) | names.parents
        if "SUBSCRIBED" in self.selections:
            candidates |= names.subscribed
        return sorted(candidates, key=lambda name: (name != INBOX, name))

    def _line(self, names: "Names", name: str, *, utf8: bool) -> bytes | None:
        """One LIST response, None when the selection leaves the mailbox out."""
        child_info: list[str] = []
        for option, chosen in (("SUBSCRIBED", names.subscribed), ("SPECIAL-USE", names.special)):
            if option not in self.selections:
                continue
            below = any(other.startswith(name + SEPARATOR) for other in chosen)
            if "RECURSIVEMATCH" in self.selections and below:
                child_info.append(f'"{option}"')
            elif name not in chosen:
                return None
        if name not in names.found and not self.selections and name not in names.parents:
            return None
        attributes = names.attributes(name)
        if "SUBSCRIBED" in self.selections | self.returns and name in names.subscribed:
            attributes.append("\\Subscribed")
        tail = f' ("CHILDINFO" ({" ".join(child_info)}))' if child_info else ""
        return (
            f'* LIST ({" ".join(attributes)}) "{SEPARATOR}" '.encode()
            + mailbox(name, utf8=utf8)
            + f"{tail}\r\n".encode()
        )


def _return_option(cursor: Cursor, returns: set[str], status: list[str]) -> None:
    option = cursor.keyword()
    if option == "STATUS":
        status.extend(read_items(cursor.sp()))
    elif option in _RETURNS:
        returns.add(option)
    else:
        raise BadSyntax("That return option of LIST is not known")


class Names:
    """An account's names and what LIST says of each."""

    def __init__(self, infos: Iterable[MailboxInfo], subscribed: set[str]) -> None:
        self.found = {info.name: info for info in infos}
        self.subscribed = subscribed
        self.special = {info.name for info in self.found.values() if info.special_use}
        self.parents = {parent for name in self.found for parent in parents(name)}

    def attributes(self, name: str) -> list[str]:
        """Existence, children (RFC 3348) and special use."""
        info = self.found.get(name)
        attributes = [] if info is not None else ["\\NonExistent", "\\Noselect"]
        attributes.append("\\HasChildren" if name in self.parents else "\\HasNoChildren")
        if info is not None and info.special_use:
            attributes.append(info.special_use)
        return attributes
