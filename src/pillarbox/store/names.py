"""Names of mailboxes, addresses and domains in the form in which every home of the store keeps and compares them.

Security: people and strangers choose names. Each function is linear and raises only what it declares.
"""

import re
from functools import lru_cache

from pillarbox.mail.address import Address, BadAddress, normalise_domain
from pillarbox.store.api import INBOX, SEPARATOR, BadMailboxName, TooManyMailboxes

MAX_NAME = 1000
"""Octets (UTF-8) of a whole mailbox name: far above what people type, far below a command line's limit."""

MAX_LEVELS = 50
"""Levels of a name. Each one that is missing becomes a mailbox."""

MAX_MAILBOXES = 10_000
"""Of one account, and as many subscriptions: every session's LIST and STATUS goes through them."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@lru_cache(maxsize=1024)  # most people have the same few; what cannot be a name is not kept
def mailbox_name(name: str) -> str:
    """The name as it is kept: INBOX in capitals, also as the first level of a longer name (RFC 9051 §5.1).

    Raises BadMailboxName when no mailbox can be called so.
    """
    if _CONTROL.search(name):
        raise BadMailboxName("a mailbox name must not contain control characters")
    if len(name.encode()) > MAX_NAME:
        raise BadMailboxName(f"a mailbox name has at most {MAX_NAME} octets")
    first, separator, rest = name.partition(SEPARATOR)
    levels = [first, *rest.split(SEPARATOR)] if separator else [first]
    if len(levels) > MAX_LEVELS:
        raise BadMailboxName(f"a mailbox name has at most {MAX_LEVELS} levels")
    if not all(levels):
        raise BadMailboxName(f"a mailbox name must not be empty, nor begin or end with {SEPARATOR}, nor double it")
    if "." in levels or ".." in levels:
        raise BadMailboxName("a level of a mailbox name must not be . or ..")
    return INBOX + separator + rest if first.upper() == INBOX else name


def parents(name: str) -> list[str]:
    """The names above a mailbox, from the top: "a/b/c" has "a" and "a/b"."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:i]) for i in range(1, len(levels))]


def require_room(taken: int) -> None:
    """Whether an account that has so many mailboxes, or subscriptions, may get one more. Raises TooManyMailboxes."""
    if taken >= MAX_MAILBOXES:
        raise TooManyMailboxes(f"an account has at most {MAX_MAILBOXES} mailboxes and as many subscriptions")


def address_key(address: str) -> str:
    """What accounts and aliases are looked up by; "@domain" is a catch-all. Raises BadAddress."""
    return "@" + normalise_domain(address[1:]) if address.startswith("@") else Address.parse(address).key


def lookup_key(address: str) -> str:
    """`address_key` for look-ups: what is no address is found nowhere, and that is no error."""
    return _usual_key(address) if len(address) <= _USUAL_LENGTH else _key(address)


def _key(address: str) -> str:
    try:
        return address_key(address)
    except BadAddress:
        return ""


_usual_key = lru_cache(maxsize=4096)(_key)  # each address of a message is looked up several times
_USUAL_LENGTH = 100  # characters: strangers must not decide how much is kept


def lookup_domain(domain: str) -> str:
    """`normalise_domain` for look-ups: what is no domain is found nowhere, and that is no error."""
    try:
        return normalise_domain(domain)
    except BadAddress:
        return ""
