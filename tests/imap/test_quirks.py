"""What real clients do, one test each."""

import pytest
from tests.imap.client import ADDRESS, Server, single

from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool


async def fill(server: Server, count: int) -> None:
    new = [NewMessage(Spool.of(b"Subject: %d\r\n\r\nx" % n)) for n in range(count)]
    await server.store.mail.append(server.account.id, "INBOX", new)


async def test_quirk_apple_sends_commands_right_behind_done(server: Server) -> None:
    client = await server.client("INBOX")
    assert await client.send(b"1 IDLE\r\nDONE\r\n2 NOOP\r\n3 IDLE\r\n") == (
        b"+ idling\r\n1 OK IDLE completed\r\n2 OK NOOP completed\r\n+ idling\r\n"
    )
    assert await client.send(b"done\r\n4 CHECK\r\n") == b"3 OK IDLE completed\r\n4 OK CHECK completed\r\n"


async def test_quirk_apple_sends_an_empty_line_before_the_tag(server: Server) -> None:
    client = await server.client("INBOX")
    assert await client.send(b"\r\n\r\nB41 UID MOVE 1 Trash\r\n\r\n") == b"B41 OK MOVE completed\r\n"


async def test_quirk_apple_moves_what_is_gone_or_not_yet_announced(server: Server) -> None:
    client = await server.client("INBOX")
    assert await client.say("UID MOVE 77 Trash") == ["OK MOVE completed"]
    assert await client.say("UID COPY 77 Trash") == ["OK COPY completed"]
    await fill(server, 2)
    assert await client.say("UID MOVE 1 Trash") == ["* 2 EXISTS", "* 2 RECENT", "OK MOVE completed"]
    trash = await server.store.mail.open(server.account.id, "Trash")
    assert await client.say("UID MOVE 1:2,77 Trash") == [
        f"* OK [COPYUID {trash.uidvalidity} 1:2 1:2] Moved",
        "* 2 EXPUNGE",
        "* 1 EXPUNGE",
        "OK MOVE completed",
    ]


async def test_quirk_apple_never_asks_for_special_uses(server: Server) -> None:
    client = await server.client()
    for command in ('LIST "" *', 'LIST "" "%"', 'LIST "" Sent'):
        assert '* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in await client.say(command)


async def test_quirk_apple_has_dots_in_tags_and_uses_lsub(server: Server) -> None:
    client = await server.client()
    assert (await client.send(b'1.1 LSUB "" INBOX\r\n')) == b'* LSUB () "/" INBOX\r\n1.1 OK LSUB completed\r\n'


async def test_quirk_outlook_uses_xlist(server: Server) -> None:
    client = await server.client()
    lines = await client.say('XLIST "" "%"')
    assert '* XLIST (\\HasNoChildren \\Inbox) "/" INBOX' in lines
    assert '* XLIST (\\HasNoChildren \\Spam) "/" "Junk"' in lines
    assert '* XLIST (\\HasNoChildren \\Sent) "/" "Sent"' in lines


async def test_quirk_thunderbird_sends_a_raw_ampersand_after_enable(server: Server) -> None:
    client = await server.client()
    assert (await client.say('CREATE "a & b"'))[0].startswith("BAD")
    await client.say("ENABLE UTF8=ACCEPT")
    assert await client.say('CREATE "a & b"') == ["OK CREATE completed"]
    assert '* LIST (\\HasNoChildren) "/" "a & b"' in await client.say('LIST "" "a*"')
    other = await server.client()
    assert '* LIST (\\HasNoChildren) "/" "a &- b"' in await other.say('LIST "" "a*"')


async def test_quirk_thunderbird_gets_no_status_of_the_selected_mailbox_unasked(server: Server) -> None:
    client = await server.client("INBOX")
    await fill(server, 1)
    assert await client.say("NOOP") == ["* 1 EXISTS", "* 1 RECENT", "OK NOOP completed"]


async def test_quirk_thunderbird_ignores_exists_and_asks_again(server: Server) -> None:
    client, other = await server.client("INBOX"), await server.client("INBOX")
    await client.send(b"1 IDLE\r\n")
    await fill(server, 1)
    assert b"* 1 EXISTS" in client.received()
    await client.send(b"DONE\r\n")
    await other.say("NOOP")
    assert "* 1 EXISTS" in await client.say("SELECT INBOX")


async def test_quirk_inbox_in_any_case(server: Server) -> None:
    client = await server.client()
    for name in ("inbox", "Inbox", '"iNBOX"'):
        assert (await client.say(f"STATUS {name} (MESSAGES)"))[0] == "* STATUS INBOX (MESSAGES 0)"
    assert (await client.say("CREATE inbox"))[0].startswith("NO [ALREADYEXISTS]")
    assert '* LIST (\\HasNoChildren) "/" INBOX' in await client.say('LIST "" inbox')
    await client.say("CREATE Inbox/Bills")
    for command in ('LIST "" "inbox/%"', 'LIST "Inbox/" "*"', 'LIST "" inbox/Bills'):
        assert '* LIST (\\HasNoChildren) "/" "INBOX/Bills"' in await client.say(command)
    assert await client.say('LIST "" inbox/bills') == ["OK LIST completed"]


async def test_quirk_gmail_wants_a_space_after_plus(server: Server) -> None:
    client = server.connect()
    assert await client.send(b"1 AUTHENTICATE PLAIN\r\n") == b"+ \r\n"


async def test_quirk_evolution_quotes_strictly(server: Server) -> None:
    client = await server.client()
    assert (await client.say('LIST "" *"INBOX"'))[0].startswith("BAD")
    assert await client.say('LIST "" ""') == ['* LIST (\\Noselect) "/" ""', "OK LIST completed"]


async def test_quirk_an_id_changes_nothing(server: Server) -> None:
    plain, named = await server.client(), await server.client()
    await named.say('ID ("name" "com.microsoft.Outlook" "version" "16.0")')
    assert await plain.say("CAPABILITY") == await named.say("CAPABILITY")
    assert ("client_id", {"fields": {"name": "com.microsoft.Outlook", "version": "16.0"}}) in named.events


async def test_quirk_a_space_behind_the_last_argument(server: Server) -> None:
    client = await server.client()
    for command in ("NOOP ", "SELECT INBOX ", "FETCH 1:* (FLAGS)  ", 'LIST "" "" ', "STATUS INBOX (MESSAGES) "):
        assert (await client.say(command))[-1].startswith("OK"), command
    assert await client.send(b"1 SELECT {5+}\r\nINBOX \r\n2 NOOP \r\n", single)
    assert client.engine.session.selected is not None
    assert (await client.say('SELECT "INBOX "'))[-1].startswith("NO [NONEXISTENT]")
    assert (await client.say(b"SELECT {6+}\r\nINBOX "))[-1].startswith("NO [NONEXISTENT]")


async def test_quirk_passwords_are_quoted_as_they_are_typed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.imap.client.PASSWORD", "p\u00e4\u00dfwort \\")
    for password in ('"p\u00e4\u00dfwort \\\\"', "{11+}\r\np\u00e4\u00dfwort \\"):
        assert (await server.connect().say(f"LOGIN {ADDRESS} {password}"))[-1].startswith("OK")
    assert (await server.connect().say(b'LOGIN x "\xff"'))[-1].startswith("BAD")


async def test_quirk_k9_searches_for_what_was_typed(server: Server) -> None:
    client = await server.client("INBOX")
    await server.store.mail.append(
        server.account.id, "INBOX", [NewMessage(Spool.of(b"Subject: =?utf-8?q?=C3=85ke?=\r\n\r\nx"))]
    )
    await client.say("NOOP")
    for command in ('UID SEARCH OR SUBJECT "åke" FROM "åke"', "UID SEARCH 1:* NOT DELETED"):
        assert await client.say(command) == ["* SEARCH 1", "OK SEARCH completed"]
    latin = 'UID SEARCH CHARSET ISO-8859-1 SUBJECT "åke"'.encode("latin-1")
    assert await client.say(latin) == ["* SEARCH 1", "OK SEARCH completed"]


async def test_quirk_aioimaplib_has_spaces_inside_of_parentheses(server: Server) -> None:
    client = await server.client("INBOX")
    for command in (
        'ID ( "name" "x" )',
        "STATUS INBOX ( MESSAGES )",
        "UID FETCH 1 ( FLAGS UID )",
        "STORE 1:* FLAGS ( )",
    ):
        assert (await client.say(command))[-1].startswith("OK"), command
    for command in ("UID FETCH 1 (  FLAGS)", "UID FETCH 1 (FLAGS  UID)", "UID FETCH 1 (FLAGS  )", "UID FETCH 1 ( )"):
        assert (await client.say(command))[-1].startswith("BAD"), command
