"""The engine's own behaviour: TLS, timeouts, the end, errors, and what strangers may not do."""

from dataclasses import replace

import pytest
from tests.imap.client import ADDRESS, CUTS, NO_HASHES, PASSWORD, TLS, Cut, Server

from pillarbox.imap.policy import Limits, Policy
from pillarbox.store.api import StoreUnavailable
from pillarbox.wire.engine import Want


async def test_greeting_names_no_version(server: Server) -> None:
    client = server.connect(tls=None)
    assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev2 IMAP4rev1 ")
    assert b"LOGINDISABLED" in client.greeting
    assert b"AUTH=" not in client.greeting
    assert b"0." not in client.greeting
    inside = server.connect().greeting
    assert b"STARTTLS" not in inside
    assert b"LOGINDISABLED" not in inside
    assert b"AUTH=PLAIN" in inside
    assert b"AUTH=SCRAM-SHA-256" in inside


async def test_capabilities_after_login(server: Server) -> None:
    words = set((await (await server.client()).say("CAPABILITY"))[0].split())
    for word in (
        *(
            "IMAP4rev1",
            "IMAP4rev2",
            "ENABLE",
            "IDLE",
            "NAMESPACE",
            "UNSELECT",
            "UIDPLUS",
            "MOVE",
            "CONDSTORE",
            "CHILDREN",
        ),
        *(
            "LIST-EXTENDED",
            "LIST-STATUS",
            "SPECIAL-USE",
            "CREATE-SPECIAL-USE",
            "MULTIAPPEND",
            "LITERAL+",
            "SASL-IR",
            "ID",
        ),
        *("UTF8=ACCEPT", "STATUS=SIZE"),
    ):
        assert word in words
    assert not words & {"STARTTLS", "LOGINDISABLED", "AUTH=PLAIN", "LITERAL-", "COMPRESS=DEFLATE", "UIDONLY"}


async def test_a_capability_can_be_hidden(server: Server) -> None:
    client = await server.client(policy=Policy(hidden=frozenset({"MOVE"})))
    assert "MOVE" not in (await client.say("CAPABILITY"))[0].split()


async def test_starttls(server: Server) -> None:
    client = server.connect(tls=None)
    assert (await client.send(b"a1 STARTTLS\r\n")) == b"a1 OK Begin TLS now\r\n"
    assert client.engine.want is Want.TLS
    client.engine.tls_started(TLS)
    assert client.engine.want is Want.OCTETS
    answer = await client.send(f'a2 LOGIN {ADDRESS} "{PASSWORD}"\r\n'.encode())
    assert answer.startswith(b"a2 OK [CAPABILITY")
    assert b"a3 BAD" in await client.send(b"a3 STARTTLS\r\n")


async def test_starttls_inside_tls(server: Server) -> None:
    assert (await server.connect().say("STARTTLS"))[0].startswith("BAD")


@pytest.mark.parametrize("behind", [b"a2 NOOP\r\n", b"a2 LOGOUT", b"\r\n", b"x"])
async def test_plaintext_behind_starttls_is_never_run(server: Server, behind: bytes) -> None:
    client = server.connect(tls=None)
    answer = await client.send(b"a1 STARTTLS\r\n" + behind)
    assert answer == b"* BYE Nothing may follow STARTTLS before TLS\r\n"
    assert client.engine.want is Want.CLOSE


async def test_plaintext_that_comes_late_is_never_run(server: Server) -> None:
    client = server.connect(tls=None)
    await client.send(b"a1 STARTTLS\r\n")
    assert await client.send(b"a2 NOOP\r\n") == b""
    assert client.engine.want is Want.CLOSE


async def test_silence(server: Server) -> None:
    client = server.connect()
    assert client.engine.timeout == 60
    client.engine.timed_out()
    assert client.received().startswith(b"* BYE ")
    assert client.engine.want is Want.CLOSE
    client = await server.client()
    assert client.engine.timeout >= 30 * 60  # RFC 9051 §5.4
    client.engine.timed_out()
    assert client.received().startswith(b"* BYE ")


async def test_silence_in_idle(server: Server) -> None:
    client = await server.client("INBOX")
    await client.send(b"a1 IDLE\r\n")
    assert client.engine.timeout <= 120
    for _ in range(3):
        client.engine.timed_out()
        assert client.received() == b"* OK Still here\r\n"
    assert client.engine.want is Want.OCTETS
    assert await client.send(b"DONE\r\n") == b"a1 OK IDLE completed\r\n"


async def test_shutting_down(server: Server) -> None:
    client = await server.client("INBOX")
    rings: list[str] = []
    client.engine.out.on_ring = lambda: rings.append("ring")
    await client.send(b"a1 IDLE\r\n")
    client.engine.shutting_down()
    assert client.received().startswith(b"* BYE ")
    assert client.engine.want is Want.CLOSE
    assert rings
    assert await client.send(b"DONE\r\n") == b""


async def test_a_changed_account_ends_its_sessions(server: Server) -> None:
    idle, busy = await server.client("INBOX"), await server.client()
    await idle.send(b"a1 IDLE\r\n")
    await server.store.directory.set_hashes(server.account.id, NO_HASHES)
    for client in (idle, busy):
        assert client.received().startswith(b"* BYE Your account was changed")
        assert client.engine.want is Want.CLOSE


async def test_a_deleted_mailbox_ends_the_sessions_in_it(server: Server) -> None:
    there, here, elsewhere = await server.client("Drafts"), await server.client("Drafts"), await server.client("INBOX")
    assert await here.say("DELETE Drafts") == [
        "* OK [CLOSED] The mailbox that was open is deleted",
        "OK DELETE completed",
    ]
    assert await here.say("NOOP") == ["OK NOOP completed"]
    assert there.received() == b"* BYE The selected mailbox was deleted\r\n"
    assert there.engine.want is Want.CLOSE
    assert await elsewhere.say("NOOP") == ["OK NOOP completed"]


async def test_a_disconnected_session_watches_no_more(server: Server) -> None:
    client = await server.client("INBOX")
    await client.send(b"a1 IDLE\r\n")
    client.engine.disconnected()
    await (await server.client()).send(b"a1 APPEND INBOX {8+}\r\nA: b\r\n\r\n\r\n")
    assert client.received() == b""
    assert not client.engine.session.store.changes._watchers.get(server.account.id, [None])[1:]


@pytest.mark.parametrize("name", ["nobody@example.org", ADDRESS])
async def test_a_wrong_password_says_nothing_about_the_name(server: Server, name: str) -> None:
    client = server.connect()
    assert await client.say(f"LOGIN {name} wrong") == ["NO [AUTHENTICATIONFAILED] The name or the password is wrong"]


async def test_a_throttled_login_is_no_wrong_password(server: Server) -> None:
    """K-9 waits an hour after an authentication error."""
    assert await server.connect().say("LOGIN busy x") == ["NO [UNAVAILABLE] Too many tries: wait a minute"]


async def test_few_tries(server: Server) -> None:
    client = server.connect(Policy(limits=Limits(failed_logins=2)))
    await client.say("LOGIN a b")
    assert await client.say("LOGIN a b") == ["* BYE Too many failed logins"]
    assert client.engine.want is Want.CLOSE


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__)
async def test_few_bad_commands_before_login(server: Server, cut: Cut) -> None:
    client = server.connect()
    answer = await client.send(b"a\r\nhello world\r\n%%% ooo\r\na1 NOOP\r\n", cut)
    assert answer.split(b"\r\n")[2:] == [b"* BAD Expected a tag and a command", b"* BYE Too many bad commands", b""]


async def test_errors_repeat_nothing(server: Server) -> None:
    client = await server.client()
    for command in (
        "EVIL",
        "SELECT evil",
        "CREATE evil//",
        "LIST (evil) x y",
        "STATUS x (EVIL)",
        "DELETE {4+}\r\nevil",
    ):
        assert "evil" not in " ".join(await client.say(command)).lower()


async def test_a_full_disk_is_no_bug(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await server.client()

    async def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("/var/lib/secret is full")

    monkeypatch.setattr(type(server.store.mail), "create", full)
    assert (await client.say("CREATE x"))[0].startswith("NO [UNAVAILABLE] The server cannot keep anything")
    assert await client.say("NOOP") == ["OK NOOP completed"]


async def test_a_bug_is_noted_and_ends_the_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await server.client()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("evil")

    monkeypatch.setattr(type(server.store.mail), "create", broken)
    answer = await client.say("CREATE x")
    assert answer[0].startswith("NO [SERVERBUG]")
    assert answer[1] == "* BYE Internal error"
    assert client.engine.want is Want.CLOSE
    assert [event for event, _ in client.events] == ["login", "internal_error"]


async def test_a_spool_without_room(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await server.client()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pillarbox.store.spool.Spool.write", full)
    answer = await client.send(b"a1 APPEND INBOX {10+}\r\nA: b\r\n\r\nxx\r\na2 NOOP\r\n")
    assert answer.split(b"\r\n")[0].startswith(b"a1 NO [UNAVAILABLE]")
    assert answer.split(b"\r\n")[1] == b"a2 OK NOOP completed"
    monkeypatch.undo()
    answer = await client.send(b"a3 APPEND INBOX {10+}\r\nA: b\r\n\r\nxx\r\n")
    assert answer.startswith(b"a3 OK [APPENDUID")


async def test_no_secret_is_ever_told(server: Server) -> None:
    client = server.connect()
    await client.say(f'LOGIN wrong "{PASSWORD}"')
    await client.say("AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGNvcnJlY3QgaG9yc2U=")
    assert PASSWORD not in repr(client.events)
    assert ("login", {"mechanism": "PLAIN", "account": ADDRESS}) in client.events


def test_policy_is_a_value() -> None:
    assert replace(Policy(), max_message=1) != Policy()


async def test_commands_before_login_come_to_an_end(server: Server) -> None:
    client = server.connect(policy=Policy(limits=replace(Limits(), commands_before_login=10)))
    answer = await client.send(b"a NOOP\r\n" * 30)
    assert answer.count(b"a OK") == 10
    assert answer.endswith(b"* BYE Too many commands without a login\r\n")
    assert client.engine.want is Want.CLOSE


async def test_who_logs_in_with_the_last_command_is_welcome(server: Server) -> None:
    client = server.connect(policy=Policy(limits=replace(Limits(), commands_before_login=10)))
    answer = await client.send(b"a NOOP\r\n" * 9 + f'b LOGIN {ADDRESS} "{PASSWORD}"\r\n'.encode() + b"c NOOP\r\n" * 30)
    assert answer.count(b"c OK") == 30
