"""Flags and keywords of messages (RFC 9051 §2.3.2). A set of flags is a frozenset of str."""

Flags = frozenset[str]

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
RECENT = "\\Recent"  # belongs to a session, never stored (RFC 3501 §2.3.2)

SYSTEM = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
NONE: Flags = frozenset()

_CANONICAL = {flag.lower(): flag for flag in (*SYSTEM, RECENT)}


def canonical(flag: str) -> str:
    """System flags in their standard spelling; keywords as they are."""
    return _CANONICAL.get(flag.lower(), flag)


class FlagTable:
    """Numbers for the sets of flags that occur in one mailbox, so that a message's flags are one small integer.

    Keywords are compared without regard to case; the first spelling seen in the mailbox stays. `keywords` are those that
    occurred in it, in order of first use.
    """

    __slots__ = ("_numbers", "_spelling", "encoded", "keywords", "sets")

    def __init__(self) -> None:
        self.sets: list[Flags] = [NONE]
        self.encoded: list[bytes] = [b""]
        self.keywords: list[str] = []
        self._numbers: dict[Flags, int] = {NONE: 0}
        self._spelling: dict[str, str] = dict(_CANONICAL)

    def number(self, flags: Flags) -> int:
        """The number of a set of flags; new sets are added. `sets[number]` and `encoded[number]` lead back."""
        found = self._numbers.get(flags)
        if found is None:
            spelt = frozenset(map(self._spelt, flags))
            found = self._numbers.get(spelt)
            if found is None:
                found = len(self.sets)
                self.sets.append(spelt)
                self.encoded.append(" ".join(sorted(spelt)).encode())
                self._numbers[spelt] = found
        return found

    def _spelt(self, flag: str) -> str:
        lower = flag.lower()
        known = self._spelling.get(lower)
        if known is None:
            known = self._spelling[lower] = flag
            if not flag.startswith("\\"):
                self.keywords.append(flag)
        return known
