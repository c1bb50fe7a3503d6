"""Bob tries every IMAP command, FETCH item and search key on alice's mailboxes and messages. Nothing of hers is shown or
changed, and the answer is the one that he gets for a mailbox that nobody has.

The tables are compared with the registries: a command that has no row here fails the test.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gates.neighbours import ALICE, BOBS_LETTER, DEEP, LETTER, MAILBOX, MARK, Neighbours, neighbours
from tests.imap.client import Client
from tests.store.conftest import HOMES

from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.commands.status import status_item
from pillarbox.imap.fetch.item import ITEM
from pillarbox.imap.registry import TABLE
from pillarbox.imap.search.key import KEY
from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

NOBODYS = "Nowhere"
"""A mailbox that nobody has."""

SPELLINGS = (
    "{}", "alice/{}", "alice@example.test/{}", "alice.{}", "user/alice/{}", "user.alice.{}", "user.alice@example.test.{}",
    "Other Users/alice/{}", "Shared/alice/{}", "~alice/{}", "#user/alice/{}", "#shared/{}", "#mh/alice/{}", "/{}", "../{}",
    "../alice/{}", "INBOX/../{}", "INBOX/../../alice/{}", "1/{}", "{}/", "./{}", "..\\alice\\{}", "mail/alice/{}",
    "%00{}", "INBOX.{}", "imap://alice@mail.example.test/{}",
)  # fmt: skip
"""How other servers name the mailboxes of others, and how file systems leave a directory."""

OPENS = ("SELECT {name}", "EXAMINE {name}", "SELECT {name} (CONDSTORE)", "SELECT {name} (QRESYNC (1 1 1:9))")
COPIES = ("1 {name}", "1:* {name}")
NAMED: dict[str, tuple[str, ...]] = {
    "SELECT": OPENS,
    "EXAMINE": (),  # with SELECT
    "STATUS": ("STATUS {name} ({status})",),
    "APPEND": ("APPEND {name} {{3+}}\r\nx\r\n", "APPEND {name} (\\Seen) {{3+}}\r\nx\r\n"),
    "COPY": tuple(f"COPY {row}" for row in COPIES),
    "UID COPY": tuple(f"UID COPY {row}" for row in COPIES),
    "MOVE": tuple(f"MOVE {row}" for row in COPIES),
    "UID MOVE": tuple(f"UID MOVE {row}" for row in COPIES),
    "RENAME": ("RENAME {name} mine",),
    "DELETE": ("DELETE {name}",),
}
"""Commands that name a mailbox which must be there. Each answer must be the one for NOBODYS."""

ALLOWED: dict[str, tuple[str, ...]] = {
    "CREATE": ("CREATE {name}",),
    "SUBSCRIBE": ("SUBSCRIBE {name}",),
    "UNSUBSCRIBE": ("UNSUBSCRIBE {name}",),
}
"""Commands that bob may use with any name, in his own account."""

PATTERNS = (
    '"" "*"', '"" "%"', '"" "%/%"', '"*" "*"', '"user/" "%"', '"user." "*"', '"~alice/" "*"', '"../" "*"', '"../alice/" "%"',
    '"alice@example.test/" "*"', '"/" "*"', '"#shared/" "%"', '"#user/alice/" "*"', '"Other Users/" "*"', f'"" "{MAILBOX}"',
    f'"" "{MARK}*"', f'"{MAILBOX}/" "%"', '"" "Zinn%"',
)  # fmt: skip

SHOWS: dict[str, tuple[str, ...]] = {
    "LIST": (
        *(f"LIST {pattern}" for pattern in PATTERNS),
        *(f"LIST {pattern} RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))" for pattern in PATTERNS),
        *(f"LIST (SUBSCRIBED) {pattern}" for pattern in PATTERNS),
        *(f"LIST (SUBSCRIBED RECURSIVEMATCH) {pattern}" for pattern in PATTERNS),
        'LIST (SPECIAL-USE) "" "*"',
        'LIST (REMOTE) "" "*"',
        f'LIST "" ("{MAILBOX}" "*" "{DEEP}")',
    ),
    "LSUB": tuple(f"LSUB {pattern}" for pattern in PATTERNS),
    "XLIST": tuple(f"XLIST {pattern}" for pattern in PATTERNS),
    "NAMESPACE": ("NAMESPACE",),
    "FETCH": ("FETCH 1:* (FLAGS {item})", "FETCH * (FLAGS {item})"),
    "UID FETCH": ("UID FETCH 1:* (FLAGS {item})", "UID FETCH 2,3,4:9 (FLAGS {item})", "UID FETCH $ (FLAGS {item})"),
    "SEARCH": (
        f"SEARCH SUBJECT {MARK}",
        f"SEARCH TEXT {MARK}",
        f"SEARCH BODY {MARK}",
        f"SEARCH FROM {MARK}",
        f"SEARCH HEADER Message-ID {MARK}",
        "SEARCH RETURN (SAVE ALL COUNT) UID 1:*",
        "SEARCH {key}",
    ),
    "UID SEARCH": ("UID SEARCH UID 2:9", f"UID SEARCH OR TEXT {MARK} UID 2:9", "UID SEARCH {key}"),
    "STORE": ("STORE 1:* +FLAGS (\\Flagged)", "STORE 2:9 FLAGS (\\Deleted)"),
    "UID STORE": ("UID STORE 2:9 FLAGS.SILENT (\\Deleted)", "UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)"),
    "EXPUNGE": ("EXPUNGE",),
    "UID EXPUNGE": ("UID EXPUNGE 1:9",),
}
"""Commands that show, or change by number. `{item}` is each FETCH item, `{key}` each search for one of alice's ids."""

NOTHING = {
    "AUTHENTICATE": "test_authorisation_identity.py",
    "LOGIN": "test_authorisation_identity.py",
    "CAPABILITY": "names nothing",
    "CHECK": "names nothing",
    "CLOSE": "the mailbox that is selected",
    "ENABLE": "names nothing",
    "ID": "names nothing",
    "IDLE": "test_idle_hears_nothing",
    "LOGOUT": "names nothing",
    "NOOP": "names nothing",
    "STARTTLS": "names nothing",
    "UNSELECT": "the mailbox that is selected",
}

UNKNOWN = (
    "GETACL {name}", "SETACL {name} bob lrswipkxtea", "DELETEACL {name} alice", "MYRIGHTS {name}", "LISTRIGHTS {name} bob",
    "GETQUOTA {name}", "GETQUOTAROOT {name}", "SETQUOTA {name} (STORAGE 1)", "GETMETADATA {name} /private/comment",
    "SETMETADATA {name} (/private/comment x)", "GENURLAUTH imap://alice@x/{name} INTERNAL", "URLFETCH imap://alice@x/{name}",
    "RESETKEY {name}", "REPLACE 1 {name} {{1+}}\r\nx", "UNAUTHENTICATE", "NOTIFY SET (MAILBOXES {name} (MessageNew))",
    "SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "COMPRESS DEFLATE", "PROXYAUTH alice@example.test",
    "X-PROXYAUTH alice@example.test", "XIMPERSONATE alice",
)  # fmt: skip
"""Commands of extensions that reach into other accounts, and that are not there. One that comes needs a row above."""

REACHING_OUT = (
    "ACL",
    "RIGHTS=",
    "QUOTA",
    "METADATA",
    "URLAUTH",
    "CATENATE",
    "NOTIFY",
    "MULTISEARCH",
    "LOGIN-REFERRALS",
)
"""Capabilities that would need rows of their own: URLs, rights, annotations and roots that name others' mailboxes."""


@pytest.fixture(params=sorted(HOMES))
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Neighbours]:
    async with neighbours(request.param, tmp_path) as both:
        yield both


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\") + '"'


def test_each_command_has_a_row() -> None:
    assert set(NAMED) | set(ALLOWED) | set(SHOWS) | set(NOTHING) == {entry.name for entry in TABLE.values()}


async def test_no_capability_reaches_out(world: Neighbours) -> None:
    client = await world.bob_logged_in()
    words = capabilities(client.engine.session).split()
    assert not [word for word in words if word.startswith(REACHING_OUT)]


@pytest.mark.parametrize("command", [name for name, rows in NAMED.items() if rows])
async def test_a_mailbox_of_hers_is_like_one_of_nobody(world: Neighbours, command: str) -> None:
    client = await world.bob_logged_in()
    items = " ".join(name for name, _ in status_item)
    for row in NAMED[command]:
        for spelling in SPELLINGS:
            answers = []
            for name in (MAILBOX, NOBODYS):
                sent = quoted(spelling.format(name))
                answers.append(await client.say(row.format(name=sent, status=items)))
                if command == "SELECT":  # what was selected before is closed by it
                    await client.say("SELECT INBOX")
            assert answers[0] == answers[1], spelling
            assert answers[0][-1].startswith(("NO", "BAD")), spelling
            assert MARK not in "".join(answers[0])
    for name in world.ids:  # the permanent ids name nothing
        assert (await client.say(NAMED[command][0].format(name=name, status=items)))[-1].startswith("NO")


@pytest.mark.parametrize("command", ALLOWED)
async def test_a_name_of_hers_is_free_in_his_account(world: Neighbours, command: str) -> None:
    for spelling in SPELLINGS:
        client = await world.bob_logged_in()
        answers = [
            await client.say(ALLOWED[command][0].format(name=quoted(spelling.format(name)))) for name in (DEEP, NOBODYS)
        ]
        assert answers[0][-1].split()[0] == answers[1][-1].split()[0], spelling
        assert MARK not in "".join(answers[0])


@pytest.mark.parametrize("command", SHOWS)
async def test_nothing_of_hers_is_shown(world: Neighbours, command: str) -> None:
    ids = [f"EMAILID {i}" for i in world.email_ids] + [f"THREADID {i}" for i in world.thread_ids]
    keys = [key for key in ids if KEY.get(key.split()[0])] + ["ALL", "UID 1:4294967295", "1:*"]
    answered = 0
    for row in SHOWS[command]:
        rows = {row.format(item=item_form(name), key=key) for name, _ in ITEM for key in keys} if "{" in row else {row}
        for line in sorted(rows):
            client = await world.bob_logged_in()
            await client.say("UID SEARCH RETURN (SAVE) UID 1:*")
            said = await client.say(line)
            answered += said[-1].startswith("OK")
            assert not [line for line in said if MARK in line and not line.startswith(("BAD", "NO"))], line
            assert ALICE not in "\n".join(said)
            assert not any(i in "\n".join(said) for i in (*world.ids, *world.email_ids, *world.thread_ids))
    assert answered  # the rows are valid, and not refused for their form


def item_form(name: str) -> str:
    """A FETCH item with the arguments that it needs."""
    return {"BODY": "BODY[]", "BODY.PEEK": "BODY.PEEK[]", "BINARY": "BINARY[1]", "BINARY.PEEK": "BINARY.PEEK[1]",
            "BINARY.SIZE": "BINARY.SIZE[1]"}.get(name, name)  # fmt: skip


async def test_commands_that_would_reach_out_do_not_exist(world: Neighbours) -> None:
    for row in UNKNOWN:
        client: Client = await world.bob_logged_in()
        said = await client.say(row.format(name=quoted(MAILBOX)))
        assert said[-1] == "BAD There is no such command", row


async def test_idle_hears_nothing(tmp_path: Path) -> None:
    async with neighbours("memory", tmp_path, untouched=False) as world:
        client = await world.bob_logged_in()
        await client.send(b"i IDLE\r\n")
        for name in ("INBOX", MAILBOX):
            await world.store.mail.append(world.alice.id, name, [NewMessage(Spool.of(LETTER))])
        await world.store.mail.create(world.alice.id, f"{MARK}-new")
        assert client.received() == b""
        await world.store.mail.append(world.bob.id, "INBOX", [NewMessage(Spool.of(BOBS_LETTER))])
        assert b"* 2 EXISTS" in client.received()


async def test_the_numbers_are_his_own(world: Neighbours) -> None:
    client = await world.bob_logged_in()
    assert [line for line in await client.say("UID SEARCH ALL") if line.startswith("*")] == ["* SEARCH 1"]
    assert (await client.say("STATUS INBOX (MESSAGES)"))[0] == "* STATUS INBOX (MESSAGES 1)"
