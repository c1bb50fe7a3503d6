"""A client that believes nothing but the untagged responses: what it knows of the mailbox at any time."""

import re

_EXPUNGE = re.compile(r"\* (\d+) EXPUNGE")
_EXISTS = re.compile(r"\* (\d+) EXISTS")
_FETCH = re.compile(r"\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\))?(?: ?MODSEQ \(\d+\))?\)")


class Mirror:
    """`flags` of each message by sequence number - 1, None where the client was not told; `uids` likewise."""

    def __init__(self, lines: list[str]) -> None:
        self.flags: list[frozenset[str] | None] = []
        self.uids: list[int | None] = []
        self.hear(lines)

    def hear(self, lines: list[str], *, expunge: bool = True) -> None:
        """Take in responses. `expunge`: whether EXPUNGE is allowed among them."""
        for line in lines:
            if found := _EXPUNGE.fullmatch(line):
                assert expunge, "EXPUNGE came while sequence numbers were in use"
                number = int(found[1])
                assert 1 <= number <= len(self.flags)
                del self.flags[number - 1], self.uids[number - 1]
            elif found := _EXISTS.fullmatch(line):
                count = int(found[1])
                assert count >= len(self.flags), "EXISTS never takes messages away"
                self.flags += [None] * (count - len(self.flags))
                self.uids += [None] * (count - len(self.uids))
            elif found := _FETCH.fullmatch(line):
                self._fetched(int(found[1]), found[2], found[3])

    def _fetched(self, number: int, uid: str | None, flags: str | None) -> None:
        assert 1 <= number <= len(self.flags)
        if uid is not None:
            assert self.uids[number - 1] in (None, int(uid)), "a sequence number means another message"
            self.uids[number - 1] = int(uid)
        if flags is not None:
            self.flags[number - 1] = frozenset(flags.split()) - {"\\Recent"}
