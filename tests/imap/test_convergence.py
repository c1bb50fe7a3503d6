"""Random operations from several sessions: each client, believing only what it is told, ends with what the store has."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.imap.client import Client, Server
from tests.imap.mirror import Mirror

from pillarbox.store.api import NewMessage, Store
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

SESSIONS = 3
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$a", "b")

message_set = st.sampled_from(["1", "2", "3", "1:2", "2:4", "1,3", "*", "1:*", "2,*", "3:1"])
command = st.one_of(
    st.sampled_from(["NOOP", "CHECK", "EXPUNGE", "IDLE", "NOOP"]),
    st.builds(
        "{}STORE {} {}FLAGS{} ({})".format,
        st.sampled_from(["", "UID "]),
        message_set,
        st.sampled_from(["", "+", "-"]),
        st.sampled_from(["", ".SILENT"]),
        st.lists(st.sampled_from(FLAGS), max_size=2, unique=True).map(" ".join),
    ),
    st.builds("{}MOVE {} {}".format, st.sampled_from(["", "UID "]), message_set, st.sampled_from(["Archive", "INBOX"])),
    st.builds("{}COPY {} {}".format, st.sampled_from(["", "UID "]), message_set, st.sampled_from(["Archive", "INBOX"])),
    st.builds("UID EXPUNGE {}".format, message_set),
    st.just("APPEND INBOX (\\Flagged) {8+}\r\nA: b\r\n\r\n"),
)
step = st.tuples(st.integers(0, SESSIONS - 1), command)


class Participant:
    """A session and what its client knows."""

    def __init__(self, client: Client, lines: list[str]) -> None:
        self.client = client
        self.mirror = Mirror(lines)
        self.idling = False

    async def do(self, command: str) -> None:
        if self.idling:
            self.mirror.hear(self.client.received().decode().split("\r\n"))
            self.mirror.hear((await self.client.send(b"DONE\r\n")).decode().split("\r\n"))
            self.idling = False
        if command == "IDLE":
            self.mirror.hear((await self.client.send(b"i IDLE\r\n")).decode().split("\r\n"))
            self.idling = True
            return
        lines = await self.client.say(command)
        self.mirror.hear(lines, expunge=not command.startswith("STORE"))
        if ".SILENT" in command:  # what the flags are now, a client works out by itself: this one forgets them
            self.mirror.flags = [None] * len(self.mirror.flags)


async def work(participant: Participant, commands: list[str]) -> None:
    for what in commands:
        await participant.do(what)


async def run(steps: list[tuple[int, str]], condstore: bool, journal_is_short: bool, home: Store | None = None) -> None:
    server = await Server.start(home)
    view = await server.store.mail.open(server.account.id, "INBOX")
    await server.store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(b"A: b\r\n\r\n"))] * 4)
    participants = []
    for n in range(SESSIONS):
        client = await server.client()
        if condstore and n == 0:
            await client.say("ENABLE CONDSTORE")
        participant = Participant(client, await client.say("SELECT INBOX"))
        participant.mirror.hear(await client.say("UID STORE 1:* +FLAGS (b)"))
        participants.append(participant)
    if home is not None:  # all at once: commands of several sessions wait for the same commit
        await asyncio.gather(
            *(work(each, [what for who, what in steps if who == n]) for n, each in enumerate(participants))
        )
    else:
        for who, what in steps:
            if journal_is_short:
                view.journal_start = view.highestmodseq
                view.journal.clear()
            await participants[who].do(what)
    truth = [view.flag_table.sets[number] for number in view.flags]
    for participant in participants:
        await participant.do("NOOP")
        assert len(participant.mirror.flags) == len(truth)
        for told, uid, flags, real in zip(
            participant.mirror.flags, participant.mirror.uids, truth, view.uids, strict=True
        ):
            assert told is None or told == flags
            assert uid is None or uid == real
    for participant in participants:
        participant.mirror.hear(await participant.client.say("UID STORE 1:* +FLAGS ($a)"))
        assert all(flags is not None and "$a" in flags for flags in participant.mirror.flags)
        assert participant.client.engine.session.mailbox.in_step


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=30), st.booleans(), st.booleans())
def test_all_end_equal(steps: list[tuple[int, str]], condstore: bool, journal_is_short: bool) -> None:
    asyncio.run(run(steps, condstore, journal_is_short))


async def run_embedded(steps: list[tuple[int, str]], condstore: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = await EmbeddedStore.open(Path(directory))
        try:
            await run(steps, condstore, False, home)
        finally:
            await home.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(step, min_size=5, max_size=25), st.booleans())
def test_all_end_equal_on_disk(steps: list[tuple[int, str]], condstore: bool) -> None:
    asyncio.run(run_embedded(steps, condstore))
