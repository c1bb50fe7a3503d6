"""A machine of several sessions on one account, and the model that goes with it: everything that is done to messages.

Each client believes only what it is told (`Mirror`); commands by sequence number mean what the client thinks they mean.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)
from tests.imap.client import EPOCH, Server
from tests.imap.mirror import Mirror
from tests.imap.participants import Box, Kept, Participant, code, numbers

from pillarbox.store.api import Delivery
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool

SESSIONS = 3
MESSAGES = 5

who = st.integers(0, SESSIONS - 1)
names = st.sampled_from(["INBOX", "INBOX", "Archive", "work"])
places = st.frozensets(st.integers(0, 7), min_size=1, max_size=3)
flag_sets = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$a", "b"]), max_size=2)
modes = st.sampled_from(["FLAGS", "+FLAGS", "-FLAGS", "FLAGS.SILENT", "+FLAGS.SILENT", "-FLAGS.SILENT"])


class MessageCommands(RuleBasedStateMachine):
    """`boxes` is the model, by name."""

    on_disk = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.boxes = {"INBOX": Box(), "Archive": Box(), "Sent": Box()}
        self.people: list[Participant] = []
        self.number = 0

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize(revisions=st.lists(st.sampled_from(["", "", "CONDSTORE", "IMAP4rev2"]), min_size=3, max_size=3))
    def start(self, revisions: list[str]) -> None:
        self.run(self._start(revisions))

    async def _start(self, revisions: list[str]) -> None:
        path = Path(self.directory.name) / "store"
        home = await EmbeddedStore.open(path) if self.on_disk else MemoryStore(clock=lambda: EPOCH)
        self.server = await Server.start(home)
        self.store = home
        self.watcher = await self.server.client()
        for _ in range(MESSAGES):
            await self._deliver("INBOX")
        for revision in revisions:
            self.people.append(await self._connect(revision))
            await self._open(self.people[-1], "INBOX", read_only=False)

    async def _connect(self, revision: str = "") -> Participant:
        participant = Participant(await self.server.client())
        if revision:
            await participant.say(f"ENABLE {revision}")
            participant.rev2 = revision == "IMAP4rev2"
        return participant

    # Commands.

    @rule(who=who, name=names, read_only=st.booleans())
    def opens(self, who: int, name: str, read_only: bool) -> None:
        self.run(self._open(self.people[who], name, read_only=read_only))

    async def _open(self, person: Participant, name: str, *, read_only: bool) -> None:
        if person.idling:
            await person.done()
        person.box, person.mirror = None, Mirror([])
        lines = await person.say(f"{'EXAMINE' if read_only else 'SELECT'} {name}")
        assert lines[-1].startswith("OK") == (name in self.boxes), lines[-1]
        if name not in self.boxes:
            return
        box = self.boxes[name]
        person.box, person.name, person.writable, person.floor = box, name, not read_only, box.claimed
        least, most = (sum(uid >= first for uid in box.messages) for first in (box.told, box.claimed))
        person.hear(lines)
        person.settle()
        assert f"* {len(box.messages)} EXISTS" in lines
        assert f"* OK [UIDNEXT {box.uidnext}] Next UID" in lines
        if not person.rev2:
            [recent] = [int(line.split()[1]) for line in lines if line.endswith(" RECENT")]
            assert least <= recent <= most
        await self._look(person)

    @rule(who=who)
    def looks(self, who: int) -> None:
        self.run(self._look(self.people[who]))

    async def _look(self, person: Participant) -> None:
        """Ask for everything; nothing may be missing that the client needs for commands by sequence number."""
        if person.box is None:
            return
        await person.say("NOOP")
        await person.say("UID FETCH 1:* (FLAGS)")
        assert None not in person.mirror.uids
        assert person.mirror.uids == sorted(person.box.messages)

    @rule(who=who, mode=modes, places=places, flags=flag_sets, by_uid=st.booleans(), only_old=st.booleans())
    def stores(
        self, who: int, mode: str, places: frozenset[int], flags: frozenset[str], by_uid: bool, only_old: bool
    ) -> None:
        self.run(self._store(self.people[who], mode, places, flags, by_uid=by_uid, only_old=only_old))

    async def _store(
        self,
        person: Participant,
        mode: str,
        places: frozenset[int],
        flags: frozenset[str],
        *,
        by_uid: bool,
        only_old: bool,
    ) -> None:
        box = person.box
        if box is None or not person.mirror.uids:
            return
        if None in person.mirror.uids:
            await self._look(person)
        numbers_meant, meant = person.chosen(places)
        if not meant:
            return
        alive = [uid for uid in meant if uid in box.messages]
        modifier = ""
        failed: list[int] = []
        if only_old:
            modseqs = await self._modseqs(person.name)
            limit = sorted(modseqs.values())[len(modseqs) // 2] if modseqs else 1
            modifier = f"(UNCHANGEDSINCE {limit}) "
            failed = [uid for uid in alive if modseqs[uid] > limit]
        target = ",".join(map(str, meant)) if by_uid else numbers_meant
        before = list(person.mirror.uids)
        command = f"{'UID ' if by_uid else ''}STORE {target} {modifier}{mode} ({' '.join(flags)})"
        lines = await person.say(command, breaks_numbers=by_uid)
        if not person.writable:
            assert lines[-1].startswith("NO")
            return
        if failed:
            told = numbers(code(lines[-1], "MODIFIED") or "")
            assert sorted(told) == (failed if by_uid else [before.index(uid) + 1 for uid in failed])
        elif len(alive) < len(meant) and not by_uid:
            assert lines[-1].startswith("NO [EXPUNGEISSUED]")
        else:
            assert lines[-1].startswith("OK"), lines[-1]
        for uid in alive:
            if uid not in failed:
                kept = box.messages[uid]
                kept.flags = _changed(kept.flags, mode, flags)
                if mode.endswith(".SILENT") and uid in person.mirror.uids:
                    person.mirror.flags[person.mirror.uids.index(uid)] = kept.flags

    async def _modseqs(self, name: str) -> dict[int, int]:
        view = await self.store.mail.open(self.server.account.id, name)
        return dict(zip(view.uids, view.modseqs, strict=True))

    @rule(who=who)
    def learns(self, who: int) -> None:
        """The UIDs of everything, by number, without being told first what is gone; the first time tells what is new."""
        for _ in range(2):
            if self.people[who].box is not None:
                self.run(self.people[who].say("FETCH 1:* (UID FLAGS)", breaks_numbers=False))

    @rule(who=who, places=places, body=st.booleans())
    def fetches(self, who: int, places: frozenset[int], body: bool) -> None:
        self.run(self._fetch(self.people[who], places, body=body))

    async def _fetch(self, person: Participant, places: frozenset[int], *, body: bool) -> None:
        """By sequence number: what comes is the message that the client means, or nothing."""
        if person.box is None or not person.mirror.uids:
            return
        if None in person.mirror.uids:
            await self._look(person)
        chosen, meant = person.chosen(places)
        if not meant:
            return
        box = person.box
        command = f"FETCH {chosen} ({'UID BODY.PEEK[TEXT]' if body else 'UID FLAGS'})"
        lines = await person.say(command, breaks_numbers=False)
        alive = [uid for uid in meant if uid in box.messages]
        assert ("EXPUNGEISSUED" in lines[-1]) == (len(alive) < len(meant))
        if body:
            got = [lines[at + 1].split(")")[0] for at, line in enumerate(lines) if "BODY[TEXT] {" in line]
            assert got == [box.messages[uid].content for uid in alive]

    @rule(who=who, places=places, into=names, by_uid=st.booleans(), move=st.booleans())
    def transfers(self, who: int, places: frozenset[int], into: str, by_uid: bool, move: bool) -> None:
        self.run(self._transfer(self.people[who], places, into, by_uid=by_uid, move=move))

    async def _transfer(
        self, person: Participant, places: frozenset[int], target: str, *, by_uid: bool, move: bool
    ) -> None:
        box = person.box
        if box is None or not person.mirror.uids:
            return
        if None in person.mirror.uids:
            await self._look(person)
        chosen, meant = person.chosen(places)
        if not meant:
            return
        which = ",".join(map(str, meant)) if by_uid else chosen
        works = target in self.boxes and (person.writable or not move)
        alive = [uid for uid in meant if uid in box.messages] if works else []
        new = [self.boxes[target].add(box.messages[uid]) for uid in alive]
        for uid in alive if move else ():
            del box.messages[uid]
        lines = await person.say(f"{'UID ' if by_uid else ''}{'MOVE' if move else 'COPY'} {which} {target}")
        assert lines[-1].startswith("OK" if works else "NO"), lines[-1]
        assert works or lines[-1].startswith("NO [TRYCREATE]") or not person.writable
        if alive:
            [said] = [line for line in lines if "[COPYUID " in line]
            _, source, told = (code(said, "COPYUID") or "").split(" ")
            assert (numbers(source), numbers(told)) == (alive, new)

    @rule(who=who, places=st.none() | places)
    def expunges(self, who: int, places: frozenset[int] | None) -> None:
        self.run(self._expunge(self.people[who], places))

    async def _expunge(self, person: Participant, places: frozenset[int] | None) -> None:
        box = person.box
        if box is None:
            return
        if None in person.mirror.uids:
            await self._look(person)
        meant = person.chosen(places)[1] if places is not None else list(box.messages)
        if places is not None and not meant:
            return
        command = "EXPUNGE" if places is None else f"UID EXPUNGE {','.join(map(str, meant))}"
        if person.writable:
            self._forget_deleted(box, meant)
        lines = await person.say(command)
        assert lines[-1].startswith("OK") == person.writable
        if person.writable:
            assert set(filter(None, person.mirror.uids)) <= set(box.messages)

    def _forget_deleted(self, box: Box, uids: list[int]) -> None:
        for uid in uids:
            if uid in box.messages and "\\Deleted" in box.messages[uid].flags:
                del box.messages[uid]

    @rule(who=who, close=st.booleans())
    def leaves(self, who: int, close: bool) -> None:
        self.run(self._leave(self.people[who], close=close))

    async def _leave(self, person: Participant, *, close: bool) -> None:
        if person.idling:
            await person.done()
        box, person.box = person.box, None
        if box is not None:
            lines = await person.say("CLOSE" if close else "UNSELECT")
            assert lines == [lines[-1]], "nothing is told of a mailbox that is left"
            if close and person.writable:
                self._forget_deleted(box, list(box.messages))

    @rule(who=who)
    def idles(self, who: int) -> None:
        if not self.people[who].idling:
            self.run(self.people[who].idle())

    @rule(who=who, name=names, flags=flag_sets)
    def appends(self, who: int, name: str, flags: frozenset[str]) -> None:
        self.run(self._append(self.people[who], name, flags))

    async def _append(self, person: Participant, name: str, flags: frozenset[str]) -> None:
        content = self._content()
        octets = f"A: b\r\n\r\n{content}"
        uid = self.boxes[name].add(Kept(content, flags)) if name in self.boxes else 0
        lines = await person.say(f"APPEND {name} ({' '.join(flags)}) {{{len(octets)}+}}\r\n{octets}")
        if uid:
            assert (code(lines[-1], "APPENDUID") or "").split(" ")[1] == str(uid)
        else:
            assert lines[-1].startswith("NO [TRYCREATE]")

    def _content(self) -> str:
        self.number += 1
        return f"message {self.number}"

    @rule()
    def mail_comes(self) -> None:
        self.run(self._deliver("INBOX"))

    async def _deliver(self, name: str) -> None:
        content = self._content()
        spool = Spool.of(f"A: b\r\n\r\n{content}".encode())
        await self.store.accept(spool, [Delivery(self.server.account.id, name)])
        self.boxes[name].add(Kept(content))

    @rule(name=names, places=places, comes=st.integers(0, 2))
    def mail_goes(self, name: str, places: frozenset[int], comes: int) -> None:
        self.run(self._vanish(name, places))
        for _ in range(comes):
            self.mail_comes()

    async def _vanish(self, name: str, places: frozenset[int]) -> None:
        """What a POP3 client does: messages go, whatever their flags."""
        box = self.boxes.get(name)
        if box is None or not box.messages:
            return
        uids = sorted(box.messages)
        chosen = sorted({uids[place % len(uids)] for place in places})
        view = await self.store.mail.open(self.server.account.id, name)
        gone = await self.store.mail.expunge(self.server.account.id, view.mailbox, chosen, deleted_only=False)
        assert list(gone) == chosen
        for uid in chosen:
            del box.messages[uid]


def _changed(flags: frozenset[str], mode: str, given: frozenset[str]) -> frozenset[str]:
    if mode[0] == "+":
        return flags | given
    return flags - given if mode[0] == "-" else given
