"""Sessions on one account against a model: what mailboxes hold after each command, what each client was told, and what a
client that was away finds out when it comes back. Over both homes of the store.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from tests.imap.machine import MessageCommands, names, who
from tests.imap.mirror import Mirror
from tests.imap.participants import Box, Participant, code, numbers


class Away:
    """A client that looks in from time to time and keeps what it saw: name, UIDVALIDITY, HIGHESTMODSEQ, flags by UID."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, int, dict[int, frozenset[str]]]] = {}


class Sessions(MessageCommands):
    """Mailboxes come and go too, and a client looks in from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self.away = Away()

    # Mailboxes come and go.

    @rule(who=who)
    def creates(self, who: int) -> None:
        lines = self.run(self.people[who].say("CREATE work"))
        assert lines[-1].startswith("NO [ALREADYEXISTS]" if "work" in self.boxes else "OK")
        self.boxes.setdefault("work", Box())

    @rule(who=who)
    def deletes(self, who: int) -> None:
        self.run(self._delete(self.people[who]))

    async def _delete(self, person: Participant) -> None:
        lines = await person.say("DELETE work")
        box = self.boxes.pop("work", None)
        assert lines[-1].startswith("NO [NONEXISTENT]" if box is None else "OK"), lines
        if box is None:
            return
        for at, each in enumerate(self.people):
            if each.box is box and each is not person:
                assert each.gone, "a session stayed in a mailbox that is no more"
                each.client.engine.disconnected()
                self.people[at] = await self._connect("IMAP4rev2" if each.rev2 else "")
            elif each.box is box:
                each.box = None

    # A client that was away.

    @precondition(lambda self: self.people)
    @rule(name=names, qualified=st.booleans())
    def comes_back(self, name: str, qualified: bool) -> None:
        self.run(self._come_back(name, qualified=qualified))

    async def _come_back(self, name: str, *, qualified: bool) -> None:
        """CONDSTORE's way to catch up (RFC 7162 §6): what changed, what is new, what is gone."""
        lines = await self.watcher.say(f"EXAMINE {name} (CONDSTORE)")
        if name not in self.boxes:
            assert lines[-1].startswith("NO")
            self.away.known.pop(name, None)
            return
        text = "\n".join(lines)
        validity, highest = code(text, "UIDVALIDITY"), int(code(text, "HIGHESTMODSEQ") or 0)
        assert validity is not None
        before, since, flags = self.away.known.get(name, ("", 0, {}))
        if before != validity:
            since, flags = 0, {}
        assert highest >= since
        mirror = Mirror(lines)
        if flags and since:
            last = max(flags)
            mirror.hear(await self.watcher.say(f"UID FETCH 1:{last} (FLAGS) (CHANGEDSINCE {since})"))
            mirror.hear(await self.watcher.say(f"UID FETCH {last + 1}:* (FLAGS)"))
        else:
            mirror.hear(await self.watcher.say("UID FETCH 1:* (FLAGS)"))
        found = await self.watcher.say("UID SEARCH RETURN (ALL) 1:*" if qualified else "UID SEARCH 1:*")
        there = set(numbers(found[0].partition(" ALL ")[2]) if qualified else map(int, found[0].split()[2:]))
        heard = {uid: told for uid, told in zip(mirror.uids, mirror.flags, strict=True) if uid is not None}
        now = {uid: told for uid, told in {**flags, **heard}.items() if uid in there and told is not None}
        assert now == {uid: kept.flags for uid, kept in self.boxes[name].messages.items()}
        self.away.known[name] = validity, highest, now
        await self.watcher.say("UNSELECT")

    # What holds at any time.

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if self.people:
            self.run(self._compare())

    async def _compare(self) -> None:
        for name, box in self.boxes.items():
            view = await self.store.mail.open(self.server.account.id, name)
            assert dict(zip(view.uids, (view.flag_table.sets[n] for n in view.flags), strict=True)) == {
                uid: kept.flags for uid, kept in box.messages.items()
            }, name
            assert view.uidnext == box.uidnext
        for person in self.people:
            if person.idling and person.box is not None:
                person.hear_idle(person.client.received().decode())
                assert len(person.mirror.uids) == len(person.box.messages), "who listens knows at once"
            assert not [event for event in person.client.events if event[0] == "internal_error"]

    def teardown(self) -> None:
        try:
            if self.people:
                self.run(self._end())
        finally:
            self.runner.close()
            self.directory.cleanup()

    async def _end(self) -> None:
        try:
            for person in self.people:
                if person.gone or person.box is None:
                    continue
                await person.say("NOOP")
                uids = sorted(person.box.messages)
                assert len(person.mirror.uids) == len(uids)
                for told, uid, flags in zip(person.mirror.uids, uids, person.mirror.flags, strict=True):
                    assert told in (None, uid)
                    assert flags is None or flags == person.box.messages[uid].flags, "a change was never told"
        finally:
            for person in self.people:
                person.client.engine.disconnected()
            await self.store.close()


class SessionsOnDisk(Sessions):
    """The same over the embedded home."""

    on_disk = True


def play(machine: type[Sessions], examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize(("machine", "examples"), [(Sessions, 40), (SessionsOnDisk, 6)])
def test_sessions(machine: type[Sessions], examples: int) -> None:
    play(machine, examples, 30)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("machine", "examples"), [(Sessions, 600), (SessionsOnDisk, 60)])
def test_sessions_for_long(machine: type[Sessions], examples: int) -> None:
    play(machine, examples, 60)
