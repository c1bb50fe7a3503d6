"""Address lists in header fields, obsolete syntax and groups included (RFC 5322 §3.4, §4.4), as IMAP's ENVELOPE has them.

Security: strangers feed this. Linear, bounded (MAX_TOKENS), never raises; what is malformed is kept where a person can still
make sense of it. No address is passed over: what is beyond a limit is one entry that is nobody's address.
"""

import re
from typing import NamedTuple

MAX_COMMENT_DEPTH = 50
"""Comments inside of comments; deeper ones are read as text."""

MAX_TOKENS = 10_000
"""Tokens of a field that are read one by one, 10 ms of work: more than a thousand recipients, each with a comment. Addresses of
the usual forms do not count."""

# What nearly all mail has: `Name <local@domain>`, `"Name" <local@domain>` or `local@domain`, then a comma or the end.
_USUAL = re.compile(
    rb"""[ \t]*+(?:(?:"([^"\\]*+)"[ \t]*+|([^"(),:;<>@\[\]\\]*+))<([^\s"(),:;<>@\[\]\\]++)@([^\s"(),:;<>@\[\]\\]++)>"""
    rb"""|([^\s"(),:;<>@\[\]\\]++)@([^\s"(),:;<>@\[\]\\]++))[ \t]*+(?:,|\Z)"""
)
_TOKEN = re.compile(
    rb"""\s+|"(?:[^"\\]|\\.)*+"?|\((?:[^()\\]|\\.)*+\)?|\[(?:[^\[\]\\]|\\.)*+\]?|[^\s"(),:;<>@\[\]\\]+|.""", re.DOTALL
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_SPACES = re.compile(rb"\s+")


class Entry(NamedTuple):
    """One entry in ENVELOPE's form (RFC 9051 §7.5.2). An address has a `host` ("" where it is missing).

    A group begins with an entry of only `local` (its name) and ends with one of nothing. `name` is the display name with
    its quoting undone and its encoded words as they are; `route` is the obsolete source route.
    """

    name: bytes | None
    route: bytes | None
    local: bytes | None
    host: bytes | None


GROUP_END = Entry(None, None, None, None)


def parse_addresses(value: bytes) -> list[Entry]:
    """The entries of an unfolded address-list field."""
    entries: list[Entry] = []
    position = _read_usual(value, 0, entries)
    return entries if position == len(value) else _Reader(value, entries).read(position)


def _read_usual(value: bytes, position: int, entries: list[Entry]) -> int:
    """Read entries of the usual forms as far as they go; where that is."""
    while found := _USUAL.match(value, position):
        quoted, phrase, local, host, bare_local, bare_host = found.groups()
        if local is None:
            entries.append(Entry(None, None, bare_local, bare_host))
        else:
            name = phrase if quoted is None else quoted
            entries.append(Entry(name.strip() or None, None, local, host))
        position = found.end()
    return position


def addresses(value: bytes) -> list[tuple[bytes, bytes]]:
    """Only the addresses of a field, group members included, as (local part, domain)."""
    return [(each.local or b"", each.host) for each in parse_addresses(value) if each.host is not None]


class _Reader:
    """Reads everything that is not usual, token by token."""

    __slots__ = ("angle", "comment", "entries", "has_at", "has_comments", "in_group", "inside", "words", "value")  # noqa: RUF023

    def __init__(self, value: bytes, entries: list[Entry]) -> None:
        self.value = value
        self.entries = entries
        self.in_group = False
        self.has_comments = True  # until one is nested too deep
        self.reset()

    def reset(self) -> None:
        """Before the next address."""
        self.words: list[bytes] = []  # tokens outside of angle brackets, b" " for white space
        self.angle: list[bytes] | None = None  # tokens inside of them
        self.inside = False
        self.has_at = False  # inside of them
        self.comment = b""

    def read(self, position: int) -> list[Entry]:
        """All entries, those from `position` on added."""
        stop, left = len(self.value), MAX_TOKENS
        while position < stop and left:
            left -= 1
            found = _TOKEN.match(self.value, position)
            if found is None:  # unreachable: the last alternative matches any octet
                break
            token, position = found[0], found.end()
            if token[:1] == b"(" and self.has_comments:
                position = self.take_comment(found.start())
            else:
                self.take(token)
                if token == b"," and not self.inside:
                    position = _read_usual(self.value, position, self.entries)
        self.finish()
        if rest := self.value[position:].strip():
            self.entries.append(Entry(None, None, rest, b""))
        if self.in_group:
            self.entries.append(GROUP_END)
        return self.entries

    def take(self, token: bytes) -> None:
        """One token that is no comment."""
        if self.inside and self.angle is not None:
            if token == b">":
                self.inside = False
            elif token in (b",", b";") and self.has_at and self.angle[:1] != [b"@"]:
                self.inside = False  # the ">" is missing; in a source route the comma is right
                self.take(token)
            elif token != b"<":
                self.has_at = self.has_at or token == b"@"
                self.angle.append(token)
        elif token == b"<":
            self.inside, self.angle = True, []
        elif token == b",":
            self.finish()
        elif token == b":" and not self.in_group and b"@" not in self.words and self.angle is None:
            name = _phrase(self.words)
            self.reset()
            self.in_group = True
            self.entries.append(Entry(None, None, name, None))
        elif token == b";":
            self.finish()
            if self.in_group:
                self.in_group = False
                self.entries.append(GROUP_END)
        else:
            self.words.append(b" " if token.isspace() else token)

    def take_comment(self, start: int) -> int:
        """Skip a comment with those inside of it; its text may stand for the missing name. Returns where it ends."""
        depth, position, value = 0, start, self.value
        for found in _COMMENT_MARK.finditer(value, start):
            mark = found[0]
            if mark == b"(":
                depth += 1
                if depth > MAX_COMMENT_DEPTH:
                    break
            elif mark == b")":
                depth -= 1
            if depth == 0:
                position = found.end()
                break
        else:
            position = len(value)
        if position == start:
            self.has_comments = False
            return start
        text = value[start + 1 : position].removesuffix(b")")
        self.comment = _QUOTED_PAIR.sub(rb"\1", text).strip()
        return position

    def finish(self) -> None:
        """An address ends: make an entry of what was collected."""
        words, angle, comment = self.words, self.angle, self.comment
        self.reset()
        if angle is not None:
            route, local, host = _split(angle)
            name = _phrase(words) or comment
            if local or host or name:
                self.entries.append(Entry(name or None, route, local, host))
            return
        if not b"".join(words).strip():
            return
        route, local, host = _split(words)
        self.entries.append(Entry(comment or None, route, local, host))


_COMMENT_MARK = re.compile(rb"\\.|[()]", re.DOTALL)


def _unquote(word: bytes) -> bytes:
    if word[:1] != b'"':
        return word
    text = word[1:].removesuffix(b'"') if len(word) > 1 else b""
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def _phrase(words: list[bytes]) -> bytes:
    """A display name or a group's name: quoting undone, white space simple."""
    return _SPACES.sub(b" ", b"".join(map(_unquote, words))).strip()


def _split(words: list[bytes]) -> tuple[bytes | None, bytes, bytes]:
    """`[@route:]local@domain` as tokens: route, local part and domain; white space between them means nothing."""
    words = [word for word in words if not word.isspace()]
    route = None
    if words and words[0] == b"@" and b":" in words:  # RFC 5322 §4.4 obs-route
        colon = words.index(b":")
        route = b"".join(words[:colon])
        words = words[colon + 1 :]
    if b"@" not in words:
        return route, b"".join(map(_unquote, words)), b""
    at = len(words) - 1 - words[::-1].index(b"@")
    return route, b"".join(map(_unquote, words[:at])), b"".join(words[at + 1 :])
