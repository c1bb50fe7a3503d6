"""Patterns of LIST and LSUB: "*" matches anything, "%" anything but the separator (RFC 9051 §6.3.9).

Security: strangers who logged in feed this. All ways to match are followed at once, as bits of one number, so that no
pattern costs more than its length times the name's.
"""

import re

from pillarbox.store.api import INBOX, SEPARATOR

_BELOW_INBOX = INBOX + SEPARATOR
_WILDCARDS = re.compile(r"[*%]{2,}")


class Pattern:
    """One pattern. Names are compared exactly, but INBOX in any case, also as the first level of a longer name."""

    __slots__ = ("_any", "_goal", "_letters", "_level", "text")

    def __init__(self, text: str) -> None:
        text = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", text)
        if text[: len(_BELOW_INBOX)].upper() == _BELOW_INBOX:
            text = _BELOW_INBOX + text[len(_BELOW_INBOX) :]
        self.text = text
        self._letters: dict[str, int] = {}
        self._any = self._level = 0
        for place, letter in enumerate(text):
            bit = 1 << place
            if letter == "*":
                self._any |= bit
            elif letter == "%":
                self._level |= bit
            else:
                self._letters[letter] = self._letters.get(letter, 0) | bit
        self._goal = 1 << len(text)

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        if self.text == "*":
            return True
        if name == INBOX and self.text != (upper := self.text.upper()):
            return Pattern(upper).matches(name)
        wild = self._any | self._level
        places = 1
        places |= (places & wild) << 1
        for letter in name:
            stay = places & (self._any if letter == SEPARATOR else wild)
            places = stay | (places & self._letters.get(letter, 0)) << 1
            if not places:
                return False
            places |= (places & wild) << 1
        return bool(places & self._goal)
