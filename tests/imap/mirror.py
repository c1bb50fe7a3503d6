"""A client that believes nothing but the untagged responses: what it knows of the mailbox at any time."""

import re

_EXPUNGE = re.compile(r"\* (\d+) EXPUNGE")
_EXISTS = re.compile(r"\* (\d+) EXISTS")
_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)")
_UID = re.compile(r"\bUID (\d+)")
_FLAGS = re.compile(r"\bFLAGS \(([^)]*)\)")
_MODSEQ = re.compile(r"\bMODSEQ \((\d+)\)")


class Mirror:
    """`flags` of each message by sequence number - 1, None where the client was not told; `uids` and `modseqs` likewise.
    `recent` are the UIDs that it was told to be recent."""

    def __init__(self, lines: list[str]) -> None:
        self.flags: list[frozenset[str] | None] = []
        self.uids: list[int | None] = []
        self.modseqs: list[int | None] = []
        self.recent: set[int] = set()
        self.hear(lines)

    def hear(self, lines: list[str], *, expunge: bool = True) -> set[int]:
        """Take in responses. `expunge`: whether EXPUNGE is allowed among them. Returns the positions whose flags were told."""
        told: set[int] = set()
        for line in lines:
            if found := _EXPUNGE.fullmatch(line):
                assert expunge, "EXPUNGE came while sequence numbers were in use"
                number = int(found[1])
                assert 1 <= number <= len(self.flags), "EXPUNGE of a message that the client does not know"
                del self.flags[number - 1], self.uids[number - 1], self.modseqs[number - 1]
                told = {at - (at >= number) for at in told if at != number - 1}
            elif found := _EXISTS.fullmatch(line):
                count = int(found[1])
                assert count >= len(self.flags), "EXISTS never takes messages away"
                for known in (self.flags, self.uids, self.modseqs):
                    known += [None] * (count - len(known))  # type: ignore[attr-defined]
            elif found := _FETCH.fullmatch(line):
                self._fetched(int(found[1]), found[2])
                if "FLAGS (" in found[2]:
                    told.add(int(found[1]) - 1)
        return told

    def _fetched(self, number: int, items: str) -> None:
        assert 1 <= number <= len(self.flags), "FETCH of a message that the client does not know"
        at = number - 1
        if uid := _UID.search(items):
            assert self.uids[at] in (None, int(uid[1])), "a sequence number means another message"
            self.uids[at] = int(uid[1])
        if modseq := _MODSEQ.search(items):
            before = self.modseqs[at]
            assert before is None or before <= int(modseq[1]), "a modseq went back"
            self.modseqs[at] = int(modseq[1])
        if flags := _FLAGS.search(items):
            words = frozenset(flags[1].split())
            if "\\Recent" in words and (known := self.uids[at]) is not None:
                self.recent.add(known)
            self.flags[at] = words - {"\\Recent"}
