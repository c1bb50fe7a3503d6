"""Small languages inside of IMAP and of names: mailbox names on the wire, LIST patterns, sets of messages, SASLprep, keys of
addresses. Each is compared with what it means."""

import re
from array import array

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.list_pattern import Pattern
from pillarbox.imap.mailbox_name import decode_utf7, encode_utf7
from pillarbox.imap.message_set import encode_set
from pillarbox.sasl.saslprep import ProhibitedText, saslprep
from pillarbox.store.api import BadMailboxName
from pillarbox.store.names import lookup_domain, lookup_key, mailbox_name, parents

_UIDS = array("I", (1, 2, 3, 5, 8, 13, 21, 4_294_967_295))
_MEANINGS = {"*": ".*", "%": "[^/]*"}


def words(octets: bytes) -> None:
    """The first octet is the language."""
    mode, rest = (octets[0] if octets else 0) % 5, octets[1:]
    (_utf7, _name, _pattern, _set, _prepared)[mode](rest)


def _utf7(octets: bytes) -> None:
    text = octets.decode("latin-1")
    try:
        name = decode_utf7(text)
    except BadSyntax:
        pass
    else:
        assert encode_utf7(name) == text or not text.isprintable() or not text.isascii() or "&" not in text
    name = octets.decode("utf-8", "replace")
    assert decode_utf7(encode_utf7(name)) == name


def _name(octets: bytes) -> None:
    name = octets.decode("utf-8", "surrogateescape")
    lookup_domain(name)
    lookup_key(name)
    try:
        kept = mailbox_name(name)
    except BadMailboxName:
        return
    assert mailbox_name(kept) == kept
    assert kept.isprintable() or not any(ord(c) < 32 for c in kept)
    assert all(mailbox_name(parent) == parent for parent in parents(kept))
    kept.encode("utf-8")


def _pattern(octets: bytes) -> None:
    pattern, _, name = octets.decode("utf-8", "replace").partition("\n")
    if pattern.count("*") + pattern.count("%") > 6 or len(name) > 60 or name.upper() == "INBOX":
        Pattern(pattern).matches(name)  # the expression that it is compared with would take too long
        return
    meaning = re.compile("".join(_MEANINGS.get(c, re.escape(c)) for c in pattern), re.DOTALL)
    assert Pattern(pattern).matches(name) == bool(meaning.fullmatch(name))


def _set(octets: bytes) -> None:
    cursor = Cursor(octets)
    try:
        found = cursor.uid_set()
    except BadSyntax:
        return
    if found.saved:
        return
    spans = found.spans(_UIDS, len(_UIDS))
    positions = [position for span in spans for position in span]
    assert positions == sorted(set(positions))
    highest = _UIDS[-1]
    ranges = [(min(low, highest), min(high, highest)) for low, high in found.ranges]
    meant = [i for i, uid in enumerate(_UIDS) if any(min(a, b) <= uid <= max(a, b) for a, b in ranges)]
    assert positions == meant
    uids = [_UIDS[position] for position in positions]
    if uids:
        again = Cursor(encode_set(uids).encode()).uid_set()
        assert [i for span in again.spans(_UIDS, len(_UIDS)) for i in span] == positions


def _prepared(octets: bytes) -> None:
    try:
        text = saslprep(octets.decode("utf-8", "surrogateescape"))
    except ProhibitedText:
        return
    assert not any(ord(c) < 32 for c in text)
