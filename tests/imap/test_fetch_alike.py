"""UID FETCH commands that are alike, sent all at once: each gets the answer that it gets alone, from few calls of the store."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.imap.client import CUTS, Client, Cut, Server
from tests.imap.test_fetch import MESSAGE, PLAIN, selecting

from pillarbox.imap.fetch.alike import FEW, LOOKED_AT
from pillarbox.store.api import NewMessage, StoreMode, StoreUnavailable
from pillarbox.store.flags import DELETED, FLAGGED
from pillarbox.store.memory.mail import MemoryMail
from pillarbox.store.spool import Spool

LARGE = b"Subject: large\r\n\r\n" + b"x" * 70_000
MAIL = (MESSAGE, PLAIN, b"Subject: a\0b\r\n\r\n\0", b"", LARGE, PLAIN, MESSAGE)

Before = Callable[[Server, Client], Awaitable[None]]
Contents = Callable[..., Awaitable[list[bytes | None]]]


def commands(uids: Sequence[int | str], items: str = "BODY.PEEK[]") -> list[bytes]:
    return [f"t{n} UID FETCH {uid} ({items})\r\n".encode() for n, uid in enumerate(uids)]


async def nothing(_server: Server, _client: Client) -> None:
    """No one else does anything."""


async def as_alone(said: Sequence[bytes], *, cut: Cut = CUTS[0], before: Before = nothing) -> bytes:
    """The answer to these commands, sent at once; the same as to one after the other."""
    answers = []
    for pieces in ([b"".join(said)], said):
        client = await selecting(server := await Server.start(), *MAIL)
        await before(server, client)
        answers.append(b"".join([await client.send(piece, cut) for piece in pieces]))
        assert client.engine.link.commands["UID FETCH"] == len([each for each in said if b"UID" in each.upper()])
    assert answers[0] == answers[1]
    return answers[0]


class Calls:
    """What the store is asked for octets, and what happens just before it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uids: list[list[int]] = []
        self.meanwhile: list[Callable[[], Awaitable[object]]] = []
        original = MemoryMail.contents

        async def contents(
            mail: MemoryMail, account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
        ) -> list[bytes | None]:
            self.uids.append(list(uids))
            found = await original(mail, account, mailbox, uids, sizes)
            if self.meanwhile:
                await self.meanwhile.pop(0)()
            return found

        monkeypatch.setattr(MemoryMail, "contents", contents)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "uids",
    [
        range(1, 8),
        (1, 3, 6),
        (1, 2, 99, 3, 4),
        (3, 2, 1),
        (1, 1, 2, 2),
        (99, 1, 2),
        (1, "2:3", 4, 6),
        (1, "*", 2),
        (5, 6, 7),
    ],
    ids=str,
)
async def test_each_as_alone(uids: Sequence[int | str], cut: Cut) -> None:
    assert (await as_alone(commands(uids), cut=cut)).count(b" OK FETCH completed") == len(uids)


@pytest.mark.parametrize(
    "items",
    [
        "UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]", "MODSEQ BODY.PEEK[]", "BODY.PEEK[]<3.20>",
        "BODY.PEEK[]<9999.1> FLAGS", "BODY.PEEK[] BODY.PEEK[]<0.5>", "BODY[]", "RFC822", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]",
        "BODY.PEEK[1]", "BINARY.PEEK[1]", "FLAGS", "ENVELOPE", "BODY.PEEK[HEADER.FIELDS (Subject)]", "BODY.PEEK[", "NOTHING",
    ],
)  # fmt: skip
async def test_any_items_as_alone(items: str) -> None:
    await as_alone(commands(range(1, 8), items))


@pytest.mark.parametrize(
    "between",
    [
        b"n NOOP\r\n", b"\r\n", b"n UID FETCH 2 (FLAGS)\r\n", b"n uid fetch 2 (BODY.PEEK[])\r\n",
        b"n FETCH 2 (BODY.PEEK[])\r\n", b"n UID FETCH 2 (BODY.PEEK[]) \r\n", b"UID FETCH 2 (BODY.PEEK[])\r\n",
        b"n UID FETCH 9999999999 (BODY.PEEK[])\r\n",
        b"n UID FETCH 0 (BODY.PEEK[])\r\n", b"n UID FETCH 2 (BODY.PEEK[]) (CHANGEDSINCE 1)\r\n", b"n SELECT INBOX\r\n",
        b"n UID STORE 3 +FLAGS (\\Deleted)\r\nm UID EXPUNGE 3\r\n",
        b"n APPEND INBOX {3+}\r\nabc\r\n", b"n CLOSE\r\n", b"n LOGOUT\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", CUTS)
async def test_other_commands_between(between: bytes, cut: Cut) -> None:
    said = commands((1, 2, 3, 4))
    one_by_one = [*said[:2], between, *said[2:]]
    answers = []
    for pieces in ([b"".join(one_by_one)], one_by_one):
        client = await selecting(await Server.start(), *MAIL)
        answers.append(b"".join([await client.send(piece, cut) for piece in pieces]))
    assert answers[0] == answers[1]


async def test_few_calls_of_the_store(server: Server, calls: Calls) -> None:
    client = await selecting(server, *[b"Subject: %d\r\n\r\n" % n for n in range(100)])
    await client.send(b"".join(commands(range(1, 101))))
    assert [uid for uids in calls.uids for uid in uids] == list(range(1, 101))
    assert [len(uids) for uids in calls.uids] == [FEW, FEW, FEW, 100 - 3 * FEW]
    assert len(b"".join(commands(range(1, FEW + 1)))) < LOOKED_AT


async def test_large_messages_are_alone_and_many_octets_are_cut(server: Server, calls: Calls) -> None:
    client = await selecting(server, *[b"x" * 60_000] * 6, LARGE, PLAIN)
    assert len(await client.send(b"".join(commands(range(1, 9))))) > 430_000
    assert calls.uids == [[1, 2, 3, 4], [5, 6], [8]]


async def _flag(server: Server, client: Client) -> None:
    mail, view = server.store.mail, client.engine.session.mailbox.view
    await mail.store_flags(server.account.id, view.mailbox, [2, 3], StoreMode.ADD, frozenset((FLAGGED, "$new")))


async def _expunge(server: Server, client: Client) -> None:
    view = client.engine.session.mailbox.view
    await server.store.mail.expunge(server.account.id, view.mailbox, [2], deleted_only=False)


async def _append(server: Server, _client: Client) -> None:
    await server.store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(PLAIN), frozenset((DELETED,)))])


@pytest.mark.parametrize(
    ("change", "told"), [(_flag, b" FLAGS ("), (_expunge, b"* 2 EXPUNGE"), (_append, b"* 8 EXISTS")]
)
@pytest.mark.parametrize("items", ["BODY.PEEK[]", "FLAGS BODY.PEEK[]", "MODSEQ BODY.PEEK[]"])
async def test_what_is_owed_comes_where_it_came(change: Before, told: bytes, items: str) -> None:
    answer = await as_alone(commands((1, 2, 3, 4), items), before=change)
    assert answer.index(told) < answer.index(b"t1 OK")


@pytest.mark.parametrize(
    ("change", "told"), [(_flag, b" FLAGS ("), (_expunge, b"* 2 EXPUNGE"), (_append, b"* 8 EXISTS")]
)
async def test_changes_while_it_is_read(server: Server, calls: Calls, change: Before, told: bytes) -> None:
    """The first is answered alone, as if the others had come later; then the client is told."""
    client = await selecting(server, *MAIL)
    calls.meanwhile.append(lambda: change(server, client))
    answer = await client.send(b"".join(commands((1, 2, 3, 4))))
    first, _, others = answer.partition(b"t0 OK FETCH completed\r\n")
    assert first.startswith(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(MESSAGE))
    assert told in first
    assert first.count(b" BODY[] ") == 1
    assert others.count(b" BODY[] ") == (2 if change is _expunge else 3)
    assert others.count(b"OK FETCH completed") == 3


async def test_one_that_cannot_be_read_costs_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryMail.contents

    async def contents(
        mail: MemoryMail, account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
    ) -> list[bytes | None]:
        if 2 in uids:
            raise StoreUnavailable("the disk has a hole there")
        return await original(mail, account, mailbox, uids, sizes)

    monkeypatch.setattr(MemoryMail, "contents", contents)
    client = await selecting(server, PLAIN, PLAIN, PLAIN, PLAIN)
    answer = await client.send(b"".join(commands((1, 2, 3, 4))))
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"t")] == [
        b"t0 OK FETCH completed",
        b"t1 NO [UNAVAILABLE] The server cannot keep anything just now: try again later",
        b"t2 OK FETCH completed",
        b"t3 OK FETCH completed",
    ]
    assert answer.count(b" BODY[] ") == 3


async def test_the_client_leaves_while_it_is_read(server: Server, calls: Calls) -> None:
    client = await selecting(server, *MAIL)

    async def leave() -> None:
        client.engine.disconnected()

    calls.meanwhile.append(leave)
    await client.send(b"".join(commands((1, 2, 3, 4))))
    assert client.engine.backlog == 0


async def test_others_get_their_turn(server: Server) -> None:
    client = await selecting(server, *[b""] * 1000)
    turns = []

    async def turn() -> None:
        turns.append(client.engine.out.size)

    client.engine.out.on_drain = turn
    await client.send(b"".join(commands(range(1, 1001))))
    assert len(turns) >= 4
