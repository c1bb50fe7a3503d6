"""APPEND: what is decided before the octets come, and the one copy of what is sent."""

import pytest
from tests.imap.client import CUTS, NO_HASHES, Client, Server

from pillarbox.imap.commands import append as append_command
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.policy import Policy
from pillarbox.imap.sent_copy import essence
from pillarbox.sasl.api import Identity
from pillarbox.store.api import Delivery
from pillarbox.store.spool import IN_MEMORY, Spool

SENT = b"From: alice@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\r\nHello\r\n"
FILED = b"Return-Path: <alice@example.org>\r\nDKIM-Signature: v=1;\r\n b=abc\r\nReceived: from a\r\n\tby b\r\n" + SENT


async def append(client: Client, mailbox: str, message: bytes, options: str = "") -> str:
    prefix = f"APPEND {mailbox} {options}{{{len(message)}+}}\r\n".encode()
    return (await client.say(prefix + message))[-1]


async def octets(server: Server, mailbox: str, uid: int) -> bytes | None:
    view = await server.store.mail.open(server.account.id, mailbox)
    return await server.store.mail.octets(server.account.id, view.mailbox, uid)


async def test_octets_flags_and_date_are_kept(server: Server) -> None:
    message = bytes(range(1, 256)) * 5000 + b"\r\n.\r\n{3}\r\na9 LOGOUT\r\n"
    assert len(message) > IN_MEMORY
    for cut in CUTS[::2]:
        client = await server.client()
        sent = b'a1 APPEND INBOX (\\Seen $x) "01-Jan-2000 00:00:00 +0100" {%d}\r\n%b\r\na2 NOOP\r\n' % (
            len(message),
            message,
        )
        answer = await client.send(sent, cut)
        assert answer.startswith(b"+ OK\r\na1 OK [APPENDUID ")
        assert answer.endswith(b"a2 OK NOOP completed\r\n")
    view = await server.store.mail.open(server.account.id, "INBOX")
    assert list(view.uids) == [1, 2]
    assert view.flags_of(1) == {"\\Seen", "$x"}
    assert view.internaldates[0] == 946681200
    assert await octets(server, "INBOX", 1) == await octets(server, "INBOX", 2) == message


async def test_size_is_checked_before_the_go_ahead(server: Server) -> None:
    client = await server.client(policy=Policy(max_message=1000))
    assert (
        await client.send(b"a1 APPEND INBOX {1001}\r\n") == b"a1 NO [TOOBIG] The message is larger than 1000 octets\r\n"
    )
    assert await client.send(b"a2 NOOP\r\n") == b"a2 OK NOOP completed\r\n"
    assert "APPENDLIMIT=1000" in (await client.say("CAPABILITY"))[0].split()
    assert (await client.send(b"a3 APPEND INBOX {200000+}\r\n")).startswith(b"* BYE ")


async def test_quota_is_checked_before_the_go_ahead(server: Server) -> None:
    poor = await server.store.directory.add_account("bob@example.org", NO_HASHES, quota=100)
    client = server.connect()
    client.engine.session.log_in(Identity(poor.id, poor.address), "test")
    assert (await client.send(b"a1 APPEND INBOX {101}\r\n")).startswith(b"a1 NO [OVERQUOTA]")
    assert (await client.send(b"a2 APPEND INBOX {60}\r\n")) == b"+ OK\r\n"
    assert (await client.send(b"x" * 60 + b" {60}\r\n")).startswith(b"a2 NO [OVERQUOTA]")
    assert len((await server.store.mail.open(poor.id, "INBOX")).uids) == 0
    assert (
        await client.send(b"a3 APPEND INBOX {60+}\r\n" + b"x" * 60 + b" {60+}\r\n" + b"x" * 60 + b"\r\n")
    ).startswith(b"a3 NO [OVERQUOTA]")
    assert client.engine.session.uploads == []


async def test_multiappend_is_all_or_none(server: Server) -> None:
    client = await server.client("INBOX")
    answer = await client.send(b"a1 APPEND INBOX {1+}\r\nx (\\Nonsense\\) {1+}\r\ny\r\na2 NOOP\r\n")
    assert answer.startswith(b"a1 BAD ")
    assert answer.endswith(b"a2 OK NOOP completed\r\n")
    assert (await client.send(b"a3 APPEND INBOX {1+}\r\nx (a) {0+}\r\n\r\n")).startswith(
        b"a3 NO "
    )  # RFC 3502: cancelled
    assert await client.say("NOOP") == ["OK NOOP completed"]


async def test_each_message_of_many_has_options_of_its_own(server: Server) -> None:
    said = [
        (b"(a \\Seen) {%d+}\r\n%b", {"a", "\\Seen"}, None),
        (b'"01-Jan-2000 00:00:00 +0100" {%d+}\r\n%b', set(), 946681200),
        (b"UTF8 (~{%d+}\r\n%b)", set(), None),
        (b'(b) "01-Jan-2000 00:00:01 +0100" UTF8 (~{%d+}\r\n%b)', {"b"}, 946681201),
        (b"{%d+}\r\n%b", set(), None),
    ]
    messages = [b"Subject: %d\r\n\r\n(c) {3}\r\n" % n for n in range(2 * len(said))]
    for name in (b"INBOX", b'"INBOX"', b"{5+}\r\nINBOX"):
        for cut in CUTS:
            client = await server.client()
            await client.say("ENABLE UTF8=ACCEPT")
            command = b" ".join(said[n % len(said)][0] % (len(m), m) for n, m in enumerate(messages))
            answer = await client.send(b"a1 APPEND " + name + b" " + command + b"\r\n", cut)
            assert answer.startswith(b"a1 OK [APPENDUID ")
            view = await server.store.mail.open(server.account.id, "INBOX")
            for n, uid in enumerate(list(view.uids)[-len(messages) :]):
                _, flags, date = said[n % len(said)]
                assert await octets(server, "INBOX", uid) == messages[n]
                assert view.flags_of(uid) == flags
                assert date is None or view.internaldates[view.index(uid)] == date


async def test_what_many_messages_say_is_not_read_again_for_each(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    def counted(cursor: Cursor) -> append_command.Options:
        nonlocal read
        read += 1
        return options(cursor)

    options = append_command._options
    monkeypatch.setattr(append_command, "_options", counted)
    client = await server.client()
    answer = await client.send(b"a1 APPEND INBOX" + b" (a) {1+}\r\nx" * 200 + b"\r\n")
    assert answer.startswith(b"a1 OK ")
    assert read <= 3 * 200


async def test_append_to_the_selected_mailbox_is_announced(server: Server) -> None:
    client = await server.client("INBOX")
    assert (await client.say(b"APPEND INBOX {1+}\r\nx"))[:2] == ["* 1 EXISTS", "* 1 RECENT"]


async def filed(server: Server, blind: bytes = b"") -> int:
    """Submission filed a copy; its UID."""
    delivery = Delivery(server.account.id, "Sent", frozenset({"\\Seen"}), sent_copy=True)
    await server.store.accept(Spool.of(blind + FILED), [delivery])
    return (await server.store.mail.open(server.account.id, "Sent")).uidnext - 1


async def test_the_same_message_appended_to_sent_is_there_once(server: Server) -> None:
    uid = await filed(server)
    client = await server.client()
    view = await server.store.mail.open(server.account.id, "Sent")
    assert (
        await append(client, "Sent", SENT, "(\\Seen) ") == f"OK [APPENDUID {view.uidvalidity} {uid}] APPEND completed"
    )
    assert list(view.uids) == [uid]
    assert await octets(server, "Sent", uid) == FILED


BLIND = b"Bcc: carol@example.org,\r\n dan@example.org\r\n"


async def test_bcc_that_only_the_client_has_is_kept(server: Server) -> None:
    uid = await filed(server)
    client = await server.client()
    assert f" {uid + 1}]" in await append(client, "Sent", BLIND + SENT)
    assert list((await server.store.mail.open(server.account.id, "Sent")).uids) == [uid + 1]
    assert await octets(server, "Sent", uid + 1) == BLIND + SENT


async def test_bcc_that_only_the_server_has_is_kept(server: Server) -> None:
    uid = await filed(server, BLIND)
    client = await server.client()
    for appended in (SENT, BLIND + SENT):
        assert f" {uid}]" in await append(client, "Sent", appended)
    assert await octets(server, "Sent", uid) == BLIND + FILED
    other = b"Bcc: eve@example.org\r\n" + SENT
    assert f" {uid + 1}]" in await append(client, "Sent", other)
    assert list((await server.store.mail.open(server.account.id, "Sent")).uids) == [uid + 1]


async def test_the_clients_own_version_replaces_the_servers(server: Server) -> None:
    uid = await filed(server)
    client, other = await server.client(), await server.client("Sent")
    mine = SENT + b"and more\r\n"
    assert f" {uid + 1}]" in await append(client, "Sent", mine, "(\\Seen) ")
    view = await server.store.mail.open(server.account.id, "Sent")
    assert list(view.uids) == [uid + 1]
    assert await octets(server, "Sent", uid + 1) == mine
    assert (await other.say("NOOP"))[:2] == ["* 1 EXPUNGE", "* 1 EXISTS"]


async def test_what_no_server_filed_is_appended_as_often_as_it_comes(server: Server) -> None:
    await filed(server)
    client = await server.client()
    for _ in range(2):
        await append(client, "Sent", SENT.replace(b"<1@", b"<2@"))
        await append(client, "Archive", SENT)
    assert len((await server.store.mail.open(server.account.id, "Sent")).uids) == 3
    assert len((await server.store.mail.open(server.account.id, "Archive")).uids) == 2


def test_essence_leaves_the_body_alone() -> None:
    message = b"A: 1\r\nbCC: x\r\n\ty\r\nReceived: a\r\nB: 2\r\n\r\nReceived: b\r\n"
    assert essence(message) == (b"bCC: x\r\n\ty\r\n", b"A: 1\r\nB: 2\r\n" + b"\r\nReceived: b\r\n")
    assert essence(b"no header") == (b"", b"no header")
