"""Several sessions on one account: what one does, the others are told at the first moment that RFC 9051 §5.5 allows."""

import pytest
from tests.imap.client import Client, Server

from pillarbox.store.api import NewMessage, StoreMode
from pillarbox.store.flags import Flags
from pillarbox.store.spool import Spool
from pillarbox.store.view import JOURNAL_LENGTH


async def fill(server: Server, count: int, mailbox: str = "INBOX", flags: Flags = frozenset()) -> None:
    """Deliver messages past all sessions."""
    new = [NewMessage(Spool.of(b"Subject: %d\r\n\r\nx" % n), flags) for n in range(count)]
    await server.store.mail.append(server.account.id, mailbox, new)


@pytest.fixture
async def pair(server: Server) -> tuple[Client, Client]:
    """Two sessions in INBOX with four messages, which both know."""
    await fill(server, 4)
    return await server.client("INBOX"), await server.client("INBOX")


async def test_flags_are_seen_by_the_other(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert await one.say("STORE 2 +FLAGS (\\Seen)") == ["* 2 FETCH (FLAGS (\\Seen \\Recent))", "OK STORE completed"]
    assert await one.say("NOOP") == ["OK NOOP completed"]  # it was told already
    assert await two.say("NOOP") == ["* 2 FETCH (UID 2 FLAGS (\\Seen))", "OK NOOP completed"]
    assert await two.say("NOOP") == ["OK NOOP completed"]


async def test_silent_is_silent_for_the_one_who_asks_only(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert await one.say("STORE 1,3 FLAGS.SILENT (\\Answered)") == ["OK STORE completed"]
    assert await two.say("NOOP") == [
        "* 1 FETCH (UID 1 FLAGS (\\Answered))",
        "* 3 FETCH (UID 3 FLAGS (\\Answered))",
        "OK NOOP completed",
    ]


async def test_expunge_waits_while_numbers_are_in_use(pair: tuple[Client, Client]) -> None:
    one, two = pair
    await one.say("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await one.say("EXPUNGE") == ["* 2 EXPUNGE", "OK EXPUNGE completed"]
    # RFC 9051 §7.5.1: no EXPUNGE during STORE; number 3 is still the message with UID 3.
    assert await two.say("STORE 3 +FLAGS (\\Flagged)") == ["* 3 FETCH (FLAGS (\\Flagged))", "OK STORE completed"]
    assert await two.say("UID STORE 4 +FLAGS (\\Flagged)") == [
        "* 4 FETCH (UID 4 FLAGS (\\Flagged))",
        "* 2 EXPUNGE",
        "OK STORE completed",
    ]
    assert await two.say("NOOP") == ["OK NOOP completed"]


async def test_store_on_what_is_gone(pair: tuple[Client, Client]) -> None:
    one, two = pair
    await one.say("UID MOVE 2 Archive")
    assert await two.say("STORE 1:3 +FLAGS (\\Flagged)") == [
        "* 1 FETCH (FLAGS (\\Flagged))",
        "* 3 FETCH (FLAGS (\\Flagged))",
        "NO [EXPUNGEISSUED] Some of the messages are gone",
    ]
    assert await two.say("UID STORE 2 +FLAGS (\\Flagged)") == ["* 2 EXPUNGE", "OK STORE completed"]


async def test_new_messages_while_an_expunge_waits(server: Server, pair: tuple[Client, Client]) -> None:
    one, two = pair
    await one.say("UID MOVE 1 Archive")
    await fill(server, 2)
    assert await two.say("STORE 2 +FLAGS.SILENT (\\Seen)") == ["* 6 EXISTS", "* 2 RECENT", "OK STORE completed"]
    assert await two.say("STORE 6 +FLAGS (\\Seen)") == ["* 6 FETCH (FLAGS (\\Seen \\Recent))", "OK STORE completed"]
    await fill(server, 1)
    assert await two.say("NOOP") == ["* 1 EXPUNGE", "* 6 EXISTS", "* 3 RECENT", "OK NOOP completed"]
    assert await two.say("UID STORE 2:3 FLAGS (x)") == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)",
        "* 1 FETCH (UID 2 FLAGS (x))",
        "* 2 FETCH (UID 3 FLAGS (x))",
        "OK STORE completed",
    ]


async def test_what_came_and_went_unseen_is_not_mentioned(server: Server, pair: tuple[Client, Client]) -> None:
    _, two = pair
    await fill(server, 1)
    await server.store.mail.expunge(server.account.id, 1, [5], deleted_only=False)
    assert await two.say("STORE 1 FLAGS.SILENT ()") == ["OK STORE completed"]
    assert await two.say("NOOP") == ["OK NOOP completed"]
    assert two.engine.session.mailbox.in_step


async def test_idle_is_told_at_once(server: Server, pair: tuple[Client, Client]) -> None:
    one, two = pair
    rings: list[bytes] = []
    two.engine.out.on_ring = lambda: rings.append(two.received())
    assert await two.send(b"i IDLE\r\n") == b"+ idling\r\n"
    await one.say("STORE 1 +FLAGS (\\Deleted)")
    await one.say("EXPUNGE")
    await one.say("APPEND INBOX {8+}\r\nA: b\r\n\r\n")
    assert rings == [
        b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n",
        b"* 1 EXPUNGE\r\n",
        b"* 4 EXISTS\r\n* 1 RECENT\r\n",
    ]
    assert await two.send(b"DONE\r\n") == b"i OK IDLE completed\r\n"


async def test_idle_begins_with_what_is_owed(server: Server, pair: tuple[Client, Client]) -> None:
    _, two = pair
    await fill(server, 1)
    assert await two.send(b"i IDLE\r\n") == b"+ idling\r\n* 5 EXISTS\r\n* 1 RECENT\r\n"


async def test_changes_elsewhere_do_not_ring(server: Server, pair: tuple[Client, Client]) -> None:
    _, two = pair
    await two.send(b"i IDLE\r\n")
    two.engine.out.on_ring = lambda: pytest.fail("nothing happened here")
    await fill(server, 1, "Archive")
    await server.store.mail.create(server.account.id, "New")


async def test_move_in_three_sessions(server: Server) -> None:
    await fill(server, 3)
    source, target, mover = await server.client("INBOX"), await server.client("Archive"), await server.client("INBOX")
    assert (await mover.say("MOVE 1,3 Archive"))[1:] == ["* 3 EXPUNGE", "* 1 EXPUNGE", "OK MOVE completed"]
    assert await source.say("NOOP") == ["* 3 EXPUNGE", "* 1 EXPUNGE", "OK NOOP completed"]
    assert await target.say("NOOP") == ["* 2 EXISTS", "* 2 RECENT", "OK NOOP completed"]


async def test_move_into_the_same_mailbox(server: Server) -> None:
    await fill(server, 2)
    client = await server.client("INBOX")
    assert (await client.say("UID MOVE 1 INBOX"))[1:] == [
        "* 1 EXPUNGE",
        "* 2 EXISTS",
        "* 2 RECENT",
        "OK MOVE completed",
    ]


async def test_recent_belongs_to_one_session(server: Server) -> None:
    await fill(server, 2)
    looker = await server.client()
    assert (await looker.say("STATUS INBOX (RECENT)"))[0] == "* STATUS INBOX (RECENT 2)"
    assert "* 2 RECENT" in await looker.say("EXAMINE INBOX")  # looks, and takes nothing
    first, second = await server.client(), await server.client()
    assert "* 2 RECENT" in await first.say("SELECT INBOX")
    assert "* 0 RECENT" in await second.say("SELECT INBOX")
    await fill(server, 1)
    assert "* 3 RECENT" in await first.say("NOOP")
    later = await server.client()
    assert "* 0 RECENT" in await later.say("SELECT INBOX")


async def test_rev2_knows_no_recent(server: Server) -> None:
    client = await server.client()
    await client.say("ENABLE IMAP4rev2")
    lines = await client.say("SELECT INBOX")
    assert not [line for line in lines if "RECENT" in line or "UNSEEN" in line]
    assert '* LIST () "/" INBOX' in lines
    await fill(server, 1)
    assert await client.say("NOOP") == ["* 1 EXISTS", "OK NOOP completed"]
    assert await client.say("STORE 1 FLAGS (\\Seen)") == ["* 1 FETCH (FLAGS (\\Seen))", "OK STORE completed"]


async def test_condstore_puts_modseqs_everywhere(server: Server, pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert await two.say("ENABLE CONDSTORE") == [
        "* ENABLED CONDSTORE",
        "* OK [HIGHESTMODSEQ 2] Highest",
        "OK ENABLE completed",
    ]
    await one.say("STORE 1 +FLAGS (\\Seen)")
    assert await two.say("NOOP") == ["* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (3))", "OK NOOP completed"]
    assert await two.say("STORE 1:2 +FLAGS.SILENT (\\Seen)") == ["* 2 FETCH (UID 2 MODSEQ (4))", "OK STORE completed"]
    assert await two.say("STORE 1:2 (UNCHANGEDSINCE 3) +FLAGS (x)") == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)",
        "* 1 FETCH (FLAGS (\\Seen x) MODSEQ (5))",
        "OK [MODIFIED 2] Some messages were changed by someone else meanwhile",
    ]
    assert await two.say("UID STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS (x)") == [
        "OK [MODIFIED 1:2] Some messages were changed by someone else meanwhile"
    ]
    assert "OK [READ-WRITE] Mailbox is open" in await two.say("SELECT INBOX (CONDSTORE)")


async def test_a_new_keyword_is_announced_to_all(pair: tuple[Client, Client]) -> None:
    one, two = pair
    flags = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Todo)"
    assert await one.say("STORE 1 FLAGS ($Todo)") == [flags, "* 1 FETCH (FLAGS ($Todo \\Recent))", "OK STORE completed"]
    assert await two.say("NOOP") == [flags, "* 1 FETCH (UID 1 FLAGS ($Todo))", "OK NOOP completed"]
    assert await two.say("STORE 2 FLAGS ($TODO)") == ["* 2 FETCH (FLAGS ($Todo))", "OK STORE completed"]


async def test_a_session_that_slept_long_misses_nothing(server: Server, pair: tuple[Client, Client]) -> None:
    """More happened than the journal holds."""
    _, two = pair
    mail, account = server.store.mail, server.account.id
    await mail.store_flags(account, 1, [3], StoreMode.ADD, frozenset({"\\Flagged"}))
    await mail.expunge(account, 1, [2], deleted_only=False)
    for _ in range(JOURNAL_LENGTH):
        await mail.store_flags(account, 1, [1], StoreMode.ADD, frozenset({"\\Seen"}))
        await mail.store_flags(account, 1, [1], StoreMode.REMOVE, frozenset({"\\Seen"}))
    assert await two.say("NOOP") == [
        "* 2 EXPUNGE",
        "* 1 FETCH (UID 1 FLAGS ())",
        "* 2 FETCH (UID 3 FLAGS (\\Flagged))",
        "OK NOOP completed",
    ]


async def test_close_expunges_without_a_word(server: Server, pair: tuple[Client, Client]) -> None:
    one, two = pair
    await one.say("STORE 4 +FLAGS.SILENT (\\Deleted)")
    assert await one.say("CLOSE") == ["OK CLOSE completed"]
    assert await two.say("NOOP") == ["* 4 EXPUNGE", "OK NOOP completed"]


async def test_close_after_examine_and_unselect_keep_everything(server: Server) -> None:
    await fill(server, 1, flags=frozenset({"\\Deleted"}))
    client = await server.client()
    for command in ("EXAMINE INBOX", "CLOSE", "SELECT INBOX", "UNSELECT", "SELECT INBOX", "SELECT Drafts", "LOGOUT"):
        assert (await client.say(command))[-1].startswith("OK")
    assert len((await server.store.mail.open(server.account.id, "INBOX")).uids) == 1


@pytest.mark.parametrize(
    "command",
    ["STORE 1 FLAGS ()", "UID STORE 1 FLAGS ()", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 Archive", "UID MOVE 1 Archive"],
)
async def test_examine_changes_nothing(server: Server, command: str) -> None:
    await fill(server, 1, flags=frozenset({"\\Deleted"}))
    client = await server.client()
    await client.say("EXAMINE INBOX")
    assert (await client.say(command))[-1].startswith("NO [CANNOT]")
    assert (await client.say("COPY 1 Archive"))[-1].startswith("OK [COPYUID")


async def test_a_failed_select_leaves_nothing_selected(server: Server) -> None:
    client = await server.client("INBOX")
    assert await client.say("SELECT nowhere") == [
        "* OK [CLOSED] The other mailbox is closed",
        "NO [NONEXISTENT] There is no such mailbox",
    ]
    assert await client.say("CHECK") == ["BAD Select a mailbox first"]


async def test_a_renamed_mailbox_stays_open(server: Server) -> None:
    await fill(server, 1, "Drafts")
    client, other = await server.client("Drafts"), await server.client()
    assert await other.say("RENAME Drafts Entwurf") == ["OK RENAME completed"]
    assert await client.say("STORE 1 FLAGS (\\Seen)") == ["* 1 FETCH (FLAGS (\\Seen \\Recent))", "OK STORE completed"]


@pytest.mark.parametrize("remembered", [True, False])
async def test_many_are_gone_here_and_there(server: Server, remembered: bool) -> None:
    """What one pass through the mailbox finds, from the journal or without it."""
    await fill(server, 600)
    one, two = await server.client("INBOX"), await server.client("INBOX")
    gone = list(range(2, 601, 3))
    await one.say(f"UID STORE {','.join(map(str, gone))} +FLAGS.SILENT (\\Deleted)")
    told = [f"* {number} EXPUNGE" for number in reversed(gone)]
    assert await one.say("EXPUNGE") == [*told, "OK EXPUNGE completed"]
    if not remembered:
        for _ in range(JOURNAL_LENGTH):
            await one.say("STORE 1 +FLAGS.SILENT (\\Seen)")
            await one.say("STORE 1 -FLAGS.SILENT (\\Seen)")
    assert (await two.say("NOOP"))[: len(told)] == told
    assert (await two.say("UID SEARCH UID 1:9"))[0] == "* SEARCH 1 3 4 6 7 9"
