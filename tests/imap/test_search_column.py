"""SEARCH in header fields by columns finds exactly what looking at each message finds, whatever happens to the mailbox."""

import random

import pytest
from tests.imap.client import Client, Server

from pillarbox.imap.search import program
from pillarbox.imap.search.column import Column, Columns, field_text
from pillarbox.imap.search.text_keys import HeaderHas, header_key
from pillarbox.mail.header import values_of
from pillarbox.mail.kept_fields import without_table
from pillarbox.mail.search_text import folded
from pillarbox.mail.summary import Summary
from pillarbox.store.api import MessageRecord, NewMessage
from pillarbox.store.spool import Spool
from pillarbox.store.view import MailboxView

WORDS = [
    "invoice", "INVOICE", "Straße", "STRASSE", "Grüße", "gru\u0308sse", "ſtop", "Ǆ", "İstanbul", "Ωmega", "日本語", "a\tb",
    "aa", "aaa", "=?utf-8?q?Caf=C3=A9?=", "=?utf-8?b?w5xiZXI=?=", "=?utf-8?q?n=00l?=", "=?utf-7?q?+2AA-?=",
    "\ufffd", "é", "e\u0301", "\U0001f600",
]  # fmt: skip
NEEDLES = [
    "invoice", "voice", "strasse", "ß", "SS", "grüsse", "stop", "ǆ", "i̇st", "ωm", "本", "a b", "a\tb", "aaaa", "a", "café",
    "über", "n", "n\0l", "\0", "\ud800", "\ufffd", "é", "e", "\U0001f600", "", " ", "=?", "aa aa", "zzz",
]  # fmt: skip


def message(source: random.Random, number: int) -> bytes:
    fields = [f"Message-ID: <{number}.x@example.com>"]
    for name in ("Subject", "subject", "From", "To", "Cc"):
        if source.random() < 0.6:
            glue = source.choice((" ", "\r\n ", "\r\n\t", "  "))
            fields.append(f"{name}: {glue.join(source.choices(WORDS, k=source.randrange(5)))}")
    text = "\r\n".join(fields) + "\r\n\r\nbody\r\n"
    return text.encode("utf-8") if source.random() < 0.8 else text.encode("cp1252", "replace")


def record(uid: int, header: bytes) -> MessageRecord:
    return MessageRecord(uid, Summary(kept=without_table(header)), "", "", 0, "", filed_by_server=False)


@pytest.mark.parametrize("seed", range(5))
def test_a_column_holds_what_the_values_hold(seed: int) -> None:
    source = random.Random(seed)
    headers = {
        uid: message(source, uid).partition(b"\r\n\r\n")[0] + b"\r\n" for uid in range(1, 200, source.choice((1, 3)))
    }
    uids = list(headers)
    for name in (b"subject", b"from", b"cc", b"message-id"):
        column = Column(name)
        half = source.randrange(1, len(uids))
        for part in (uids[:half], uids[half:]):
            column.extend(part, [record(uid, headers[uid]) for uid in part])
        assert column.scanned == uids[-1]
        for needle in map(folded, NEEDLES):
            if "\0" in needle:
                continue
            wanted = [uid for uid in uids if any(needle in field_text(v) for v in values_of(headers[uid], name))]
            assert list(column.holding(needle)) == wanted, (name, needle)


KEYS = [
    f"{name} {{%d+}}\r\n%s"
    for name in ("SUBJECT", "FROM", "HEADER Message-ID", "NOT TO", "UNSEEN CC", "OR FROM x SUBJECT")
]


async def answers(client: Client) -> list[list[str]]:
    found = []
    for key in KEYS:
        for needle in NEEDLES:
            if "\0" in needle or "\ud800" in needle:
                continue
            octets = needle.encode()
            found.append(await client.say(b"UID SEARCH CHARSET UTF-8 " + key.encode() % (len(octets), octets)))
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_searches_agree_while_the_mailbox_changes(
    seed: int, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(seed)
    mail, account = server.store.mail, server.account.id
    monkeypatch.setattr(program, "BATCH", 7)
    view = await mail.open(account, "INBOX")
    client = await server.client("INBOX")
    for _ in range(4):
        new = [NewMessage(Spool.of(message(source, n)), frozenset(source.choice(((), ("\\Seen",))))) for n in range(40)]
        await mail.append(account, "INBOX", new)
        await client.say("NOOP")
        by_column = await answers(client)
        with monkeypatch.context() as patch:
            patch.setattr(HeaderHas, "has_column", False)
            assert await answers(client) == by_column
        await mail.expunge(account, view.mailbox, source.sample(list(view.uids), 15), deleted_only=False)
        await client.say("NOOP")


async def test_an_older_session_does_not_hide_new_messages(server: Server) -> None:
    mail, account = server.store.mail, server.account.id
    old = await server.client("INBOX")
    await mail.append(account, "INBOX", [NewMessage(Spool.of(b"Subject: first one\r\n\r\n"))])
    await old.say("NOOP")
    assert (await old.say("UID SEARCH SUBJECT one"))[0] == "* SEARCH 1"
    await mail.append(account, "INBOX", [NewMessage(Spool.of(b"Subject: second one\r\n\r\n"))])
    new = await server.client("INBOX")
    assert (await new.say("UID SEARCH SUBJECT one"))[0] == "* SEARCH 1 2"
    await old.say("NOOP")
    assert (await old.say("UID SEARCH SUBJECT one"))[0] == "* SEARCH 1 2"


def test_columns_are_bounded_and_forget_the_dead() -> None:
    columns = Columns(limit=1000)
    views = [MailboxView(1, n, "INBOX", 1, "") for n in range(5)]
    first = [columns.of(view, b"subject") for view in views]
    for column in first:
        column.extend([1], [record(1, b"Subject: " + b"x" * 400 + b"\r\n")])
        columns.trim()
    assert [columns.of(view, b"subject") is column for view, column in zip(views, first, strict=True)][-2:] == [
        True,
        True,
    ]
    assert columns.of(views[0], b"subject") is not first[0]


def test_tidying_keeps_the_living() -> None:
    column = Column(b"subject")
    uids = list(range(1, 4001))
    column.extend(uids, [record(uid, b"Subject: number %d.\r\n" % uid) for uid in uids])
    living = uids[::5]
    before = column.octets
    column.tidy(living)
    assert column.octets < before / 3
    assert list(column.holding("number 6.")) == [6]
    assert list(column.holding("")) == living
    assert header_key(b"subject", "number").has_column
    assert not header_key(b"x-own", "number").has_column
