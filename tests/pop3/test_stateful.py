"""POP3 sessions against a model of the drop: DELE, RSET, QUIT, broken connections, a second session, and others who deliver,
expunge and move meanwhile. Over both homes of the store."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.pop3.client import ALICE, LOGIN, NO_HASHES, Office, Pop3Client

from pillarbox.store.api import NewMessage, Store
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.memory import MemoryStore
from pillarbox.store.spool import Spool

which = st.integers(0, 6)


class Drop(RuleBasedStateMachine):
    """`kept` is the model of INBOX: octets by UID. `listed` are the UIDs that the session has numbers for."""

    on_disk = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.kept: dict[int, bytes] = {}
        self.uidnext = 1
        self.listed: list[int] = []
        self.marked: set[int] = set()
        self.ids: dict[int, str] = {}
        self.client: Pop3Client | None = None

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def say(self, command: str) -> str:
        assert self.client is not None
        return str(self.run(self.client.say(command)))

    @initialize(count=st.integers(0, 5))
    def start(self, count: int) -> None:
        self.run(self._start())
        for number in range(count):
            self.mail_comes(lines=number)

    async def _start(self) -> None:
        home: Store = MemoryStore()
        if self.on_disk:
            home = await EmbeddedStore.open(Path(self.directory.name) / "store")
        await home.directory.add_domain("example.test")
        await home.directory.add_account(ALICE, NO_HASHES)
        self.store = home
        self.office = Office(home)  # type: ignore[arg-type]

    # The others.

    @rule(lines=st.integers(0, 3))
    def mail_comes(self, lines: int) -> None:
        octets = b"Subject: %d\r\n\r\n" % self.uidnext + b".dotted\r\n" * lines
        appended = self.run(self.store.mail.append(1, "INBOX", [NewMessage(Spool.of(octets))]))
        assert list(appended.uids) == [self.uidnext]
        self.kept[self.uidnext] = octets
        self.uidnext += 1

    @precondition(lambda self: self.kept)
    @rule(which=which, move=st.booleans())
    def mail_goes(self, which: int, move: bool) -> None:
        uid = sorted(self.kept)[which % len(self.kept)]
        self.run(self._remove(uid, move=move))
        del self.kept[uid]

    async def _remove(self, uid: int, *, move: bool) -> None:
        view = await self.store.mail.open(1, "INBOX")
        if move:
            await self.store.mail.move(1, view.mailbox, [uid], "Archive")
        else:
            await self.store.mail.expunge(1, view.mailbox, [uid], deleted_only=False)

    # The session.

    @precondition(lambda self: self.client is None)
    @rule()
    def logs_in(self) -> None:
        self.client = self.run(self.office.login())
        self.listed, self.marked = sorted(self.kept), set()

    @precondition(lambda self: self.client is not None)
    @rule()
    def another_tries(self) -> None:
        other = self.office.connect()
        answer = self.run(other.send(LOGIN))
        assert b"-ERR [IN-USE]" in answer
        other.engine.disconnected()

    @precondition(lambda self: self.client is not None)
    @rule(which=which)
    def deletes(self, which: int) -> None:
        reply = self.say(f"DELE {which + 1}")
        exists = which < len(self.listed) and which not in self.marked
        assert reply.startswith("+OK" if exists else "-ERR"), reply
        if exists:
            self.marked.add(which)

    @precondition(lambda self: self.client is not None)
    @rule()
    def takes_back(self) -> None:
        assert self.say("RSET") == f"+OK {len(self.listed)} messages"
        self.marked.clear()

    @precondition(lambda self: self.client is not None)
    @rule(which=which, lines=st.none() | st.integers(0, 4))
    def reads(self, which: int, lines: int | None) -> None:
        assert self.client is not None
        command = f"RETR {which + 1}" if lines is None else f"TOP {which + 1} {lines}"
        reply = self.run(self.client.send(command.encode() + b"\r\n"))
        if which >= len(self.listed) or which in self.marked:
            assert reply.startswith(b"-ERR There is no such message" if which >= len(self.listed) else b"-ERR ")
        elif (octets := self.kept.get(self.listed[which])) is None:
            assert reply.startswith(b"-ERR [SYS/TEMP]")
        else:
            if lines is not None:
                header, _, body = octets.partition(b"\r\n\r\n")
                octets = header + b"\r\n\r\n" + b"".join(body.splitlines(keepends=True)[:lines])
            assert reply.partition(b"\r\n")[2] == octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    @precondition(lambda self: self.client is not None)
    @rule()
    def quits(self) -> None:
        assert self.say("QUIT") == f"+OK Goodbye; {len(self.marked)} messages deleted"
        for index in self.marked:
            self.kept.pop(self.listed[index], None)
        self._forget_session()

    @precondition(lambda self: self.client is not None)
    @rule(timeout=st.booleans())
    def breaks_off(self, timeout: bool) -> None:
        assert self.client is not None
        if timeout:
            self.client.engine.timed_out()
            assert self.client.closed
        self._forget_session()

    def _forget_session(self) -> None:
        assert self.client is not None
        self.client.engine.disconnected()
        self.client = None

    # What holds at any time.

    @invariant()
    def the_listing_stays(self) -> None:
        if self.client is None:
            return
        lines = self.run(self.client.lines("UIDL"))
        ids = dict(line.split(" ") for line in lines)
        expected = [at for at in range(len(self.listed)) if at not in self.marked]
        for at in expected:
            uid = self.listed[at]
            if str(at + 1) in ids:
                assert self.ids.setdefault(uid, ids[str(at + 1)]) == ids[str(at + 1)], "a unique-id changed"
            else:
                assert uid not in self.kept, "a message without a unique-id"
        assert len(set(ids.values())) == len(ids)
        assert len(set(self.ids.values())) == len(self.ids), "a unique-id was given twice"
        assert {int(number) - 1 for number in ids} <= set(expected)
        sizes = self.run(self.client.lines("LIST"))
        assert [int(line.split()[0]) - 1 for line in sizes] == expected
        total = sum(int(line.split()[1]) for line in sizes)
        assert self.say("STAT") == f"+OK {len(expected)} {total}"

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if hasattr(self, "office"):
            assert self.run(self.office.uids()) == sorted(self.kept)
            assert not [event for event in self.office.events if event[0] == "internal_error"]

    def teardown(self) -> None:
        if self.client is not None:
            self._forget_session()
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()


class DropOnDisk(Drop):
    """The same over the embedded home."""

    on_disk = True


def play(machine: type[Drop], examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize(("machine", "examples"), [(Drop, 40), (DropOnDisk, 6)])
def test_drop(machine: type[Drop], examples: int) -> None:
    play(machine, examples, 30)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("machine", "examples"), [(Drop, 500), (DropOnDisk, 50)])
def test_drop_for_long(machine: type[Drop], examples: int) -> None:
    play(machine, examples, 50)
