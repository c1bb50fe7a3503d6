"""The maildrop: locked, a snapshot, and changed at QUIT only."""

import pytest
from tests.pop3.client import LOGIN, Office

from pillarbox.store.api import NewMessage, StoreUnavailable
from pillarbox.store.memory.mail import MemoryMail
from pillarbox.store.spool import Spool
from pillarbox.wire.outbox import HIGH_WATER

MESSAGES = [b"Subject: %d\r\n\r\nbody %d\r\n" % (i, i) for i in range(1, 6)]


async def test_one_session_at_a_time() -> None:
    office = await Office.open(*MESSAGES)
    first = await office.login()
    second = office.connect()
    assert (await second.send(LOGIN)).endswith(
        b"-ERR [IN-USE] Another program is reading this mailbox by POP3; try again when it is done\r\n"
    )
    other = office.connect()
    assert (await other.send(b"USER bob@example.test\r\nPASS hunter2\r\n")).endswith(b"+OK 0 messages\r\n")
    first.engine.disconnected()
    assert (await second.send(LOGIN)).endswith(b"+OK 5 messages\r\n")
    second.engine.disconnected()
    first.engine.disconnected()  # a second time releases nothing of anybody
    third = await office.login()
    first.engine.disconnected()
    assert (await office.connect().send(LOGIN)).find(b"[IN-USE]") > 0
    await third.say("QUIT")
    await office.login()


async def test_the_lock_is_free_when_the_maildrop_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open()

    async def broken(*_: object) -> None:
        raise StoreUnavailable("the disk is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryMail, "open", broken)
        reply = await office.connect().send(LOGIN)
        assert b"-ERR [SYS/TEMP] The server cannot reach the mail" in reply
        assert b"fire" not in reply
    await office.login()


async def test_quit_deletes_in_one_transaction_and_says_so_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()
    await client.send(b"DELE 2\r\nDELE 4\r\n")
    assert await office.uids() == [1, 2, 3, 4, 5]
    calls = []
    expunge = MemoryMail.expunge

    async def counted(self: MemoryMail, *args: object, **options: object) -> object:
        calls.append((args, options))
        assert client.engine.out.size == 0  # nothing is promised yet
        return await expunge(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryMail, "expunge", counted)
    assert await client.say("QUIT") == "+OK Goodbye; 2 messages deleted"
    assert client.closed
    assert [args[2] for args, _ in calls] == [[2, 4]]
    assert calls[0][1] == {"deleted_only": False, "by": "c1"}
    assert await office.uids() == [1, 3, 5]


async def test_quit_that_fails_deletes_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()

    async def broken(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(MemoryMail, "expunge", broken)
    reply = await client.send(b"DELE 1\r\nQUIT\r\n")
    assert reply.endswith(b"-ERR [SYS/TEMP] Nothing was deleted: the server cannot write just now; try again later\r\n")
    assert client.closed
    assert await office.uids() == [1, 2, 3, 4, 5]
    await office.login()


async def test_a_broken_line_deletes_nothing() -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()
    await client.send(b"DELE 1\r\nDELE 2\r\nQUI")
    client.engine.disconnected()
    assert await office.uids() == [1, 2, 3, 4, 5]
    assert await (await office.login()).say("STAT") == f"+OK 5 {sum(map(len, MESSAGES))}"


async def test_what_arrives_waits_for_the_next_session() -> None:
    office = await Office.open(*MESSAGES[:2])
    client = await office.login()
    await office.deliver(*MESSAGES[2:])
    assert await client.say("STAT") == f"+OK 2 {sum(map(len, MESSAGES[:2]))}"
    assert len(await client.lines("UIDL")) == 2
    assert await client.say("RETR 3") == "-ERR There is no such message"
    await client.send(b"DELE 1\r\nDELE 2\r\nQUIT\r\n")
    assert await office.uids() == [3, 4, 5]
    assert (await (await office.login()).say("STAT")).startswith("+OK 3 ")


async def test_what_imap_expunges_keeps_its_number_and_cannot_be_read() -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()
    before = await client.lines("UIDL")
    await office.store.mail.expunge(1, (await office.store.mail.open(1, "INBOX")).mailbox, [2, 3], deleted_only=False)
    await office.deliver(b"Subject: new\r\n\r\n")
    assert (await client.say("RETR 2")).startswith("-ERR [SYS/TEMP] The message was deleted by another program")
    assert (await client.say("TOP 3 0")).startswith("-ERR [SYS/TEMP] ")
    assert "body 4" in await client.say("RETR 4")
    assert await client.lines("UIDL") == before
    assert len(await client.lines("LIST")) == 5
    assert await client.send(b"DELE 2\r\nDELE 5\r\nQUIT\r\n") == (
        b"+OK Marked; QUIT deletes\r\n" * 2 + b"+OK Goodbye; 2 messages deleted\r\n"
    )
    assert await office.uids() == [1, 4, 6]


async def test_unique_ids_of_what_was_gone_before_anybody_asked() -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()
    await office.store.mail.expunge(1, (await office.store.mail.open(1, "INBOX")).mailbox, [2], deleted_only=False)
    assert [line.split()[0] for line in await client.lines("UIDL")] == ["1", "3", "4", "5"]
    assert (await client.say("UIDL 2")).startswith("-ERR [SYS/TEMP] ")


async def test_unique_ids_are_permanent_and_unlike() -> None:
    office = await Office.open(*MESSAGES)
    client = await office.login()
    first = dict(line.split() for line in await client.lines("UIDL"))
    assert len(set(first.values())) == 5
    assert all(0 < len(i) <= 70 and i.isascii() and i.isprintable() for i in first.values())  # RFC 1939 §7
    assert await client.say("UIDL 3") == f"+OK 3 {first['3']}"
    await client.send(b"DELE 1\r\nQUIT\r\n")
    await office.deliver(MESSAGES[0])
    again = dict(line.split() for line in await (await office.login()).lines("UIDL"))
    assert [again[str(i)] for i in range(1, 5)] == [first[str(i)] for i in range(2, 6)]
    assert again["5"] not in first.values()


async def test_a_copy_inside_inbox_has_its_own_unique_id() -> None:
    office = await Office.open(MESSAGES[0])
    inbox = (await office.store.mail.open(1, "INBOX")).mailbox
    await office.store.mail.copy(1, inbox, [1], "INBOX")
    ids = [line.split()[1] for line in await (await office.login()).lines("UIDL")]
    assert len(set(ids)) == 2


async def test_listings_of_many_messages_wait_for_the_client() -> None:
    office = await Office.open()
    await office.store.mail.append(1, "INBOX", [NewMessage(Spool.of(b"S: x\r\n\r\n")) for _ in range(12_000)])
    client = await office.login()
    sent: list[bytes] = []

    waiting: list[int] = []

    async def drain() -> None:
        waiting.append(client.engine.out.size)
        sent.extend(client.engine.out.take())

    client.engine.out.on_drain = drain
    for command in (b"LIST", b"UIDL"):
        sent.clear()
        waiting.clear()
        sent.append(await client.send(command + b"\r\n"))
        lines = b"".join(sent).split(b"\r\n")
        assert len(lines) == 12_003
        assert [line.split(b" ")[0] for line in lines[1:-2]] == [b"%d" % i for i in range(1, 12_001)]
        assert lines[-2:] == [b".", b""]
        assert max(waiting, default=0) < 2 * HIGH_WATER
    assert waiting
