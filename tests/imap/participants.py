"""Sessions, and the model that they are compared with: mailboxes as the RFCs have them, written without a look at ours."""

import re
from dataclasses import dataclass, field

from tests.imap.client import Client
from tests.imap.mirror import Mirror

from pillarbox.wire.engine import Want


@dataclass
class Kept:
    """A message in a mailbox of the model."""

    content: str
    flags: frozenset[str] = frozenset()


@dataclass
class Box:
    """A mailbox of the model. Messages below `claimed` are recent to no session that opens it later; those from `told` on
    are to the next one, because nobody was told of them."""

    messages: dict[int, Kept] = field(default_factory=dict)
    uidnext: int = 1
    claimed: int = 1
    told: int = 1

    def add(self, kept: Kept) -> int:
        """A message more; its UID."""
        self.messages[self.uidnext] = Kept(kept.content, kept.flags)
        self.uidnext += 1
        return self.uidnext - 1


@dataclass
class Participant:
    """A session, the mailbox that it has open, and what its client was told. `floor`: messages below it are recent to others,
    or to nobody."""

    client: Client
    box: Box | None = None
    name: str = ""
    mirror: Mirror = field(default_factory=lambda: Mirror([]))
    writable: bool = True
    rev2: bool = False
    idling: bool = False
    floor: int = 1
    claims: bool = False

    @property
    def gone(self) -> bool:
        """The server ended the session."""
        return self.client.engine.want is Want.CLOSE

    async def say(self, command: str, *, breaks_numbers: bool = True) -> list[str]:
        """A command and its responses, taken into the mirror; the last line is the tagged one."""
        if self.idling:
            await self.done()
        lines = await self.client.say(command)
        if self.box is not None:
            self.hear(lines, expunge=breaks_numbers)
        self.settle()
        return lines

    def hear(self, lines: list[str], *, expunge: bool = True) -> set[int]:
        """Take in responses; who is told of new messages is the one to whom they are recent."""
        assert self.box is not None
        told = self.mirror.hear(lines, expunge=expunge)
        early = {uid for uid in self.mirror.recent if uid < self.floor}
        assert not early, f"recent to a second session: {early}"
        if self.rev2:
            assert not self.mirror.recent, "IMAP4rev2 has no \\Recent"
            assert not any(line.endswith(" RECENT") for line in lines), "IMAP4rev2 has no RECENT"
        elif self.writable and any(line.endswith(" RECENT") for line in lines):
            self.claims = True
            self.box.told = self.box.uidnext
        return told

    def settle(self) -> None:
        """A command ended: what the client was told to be recent is recent to no later session (RFC 3501 §2.3.2)."""
        if self.claims and self.box is not None:
            self.box.claimed = self.box.told = self.box.uidnext
        self.claims = False

    async def idle(self) -> None:
        """Begin to listen."""
        self.hear_idle((await self.client.send(b"i IDLE\r\n")).decode())
        self.idling = True

    def hear_idle(self, said: str) -> None:
        """What came while listening."""
        if self.box is not None:
            self.hear(said.split("\r\n"))

    async def done(self) -> None:
        """Stop listening."""
        self.hear_idle(self.client.received().decode())
        if not self.gone:
            self.hear_idle((await self.client.send(b"DONE\r\n")).decode())
            self.settle()
        self.idling = False

    def chosen(self, places: frozenset[int]) -> tuple[str, list[int]]:
        """A set of sequence numbers (those of the places that exist), and the UIDs that they mean to this client."""
        count = len(self.mirror.uids)
        positions = sorted({place % count for place in places}) if count else []
        uids = [uid for at in positions if (uid := self.mirror.uids[at]) is not None]
        return ",".join(str(at + 1) for at in positions), uids


def code(line: str, name: str) -> str | None:
    """The arguments of a response code."""
    found = re.search(rf"\[{name} ([^\]]*)\]", line)
    return found[1] if found else None


def numbers(text: str) -> list[int]:
    """The numbers of a sequence-set, in its order."""
    found: list[int] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found
