"""AUTH: where it exists, the mechanisms' dialogs, and that nothing secret is repeated."""

from base64 import b64encode
from dataclasses import replace

import pytest
from tests.smtp.dialog import ALICE, MSA, MX, TLS, FakeService, converse, same_in_every_cut

from pillarbox.mail.envelope import Envelope
from pillarbox.smtp.service import Client
from pillarbox.wire.engine import Want

HELLO = b"EHLO client.example\r\n"
PLAIN = b64encode(b"\0alice\0pillarbox")
WRONG = b64encode(b"\0alice\0wrong")


def b64(octets: bytes) -> bytes:
    return b64encode(octets)


async def test_offered_inside_tls_on_submission_only() -> None:
    for policy, tls, expected in ((MSA, TLS, True), (MSA, None, False), (MX, TLS, False), (MX, None, False)):
        run = await converse([HELLO], policy, tls=tls)
        assert (b"AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n" in run.said) is expected
        assert (b"STARTTLS" in run.said) is (tls is None)


async def test_not_offered_any_more_when_logged_in() -> None:
    run = await converse([HELLO + b"AUTH PLAIN " + PLAIN + b"\r\n" + HELLO], MSA, tls=TLS)
    assert run.said.count(b"AUTH") == 1


@pytest.mark.parametrize(
    ("octets", "codes"),
    [
        (b"AUTH PLAIN " + PLAIN + b"\r\n", ["235"]),
        (b"auth plain " + PLAIN + b"\r\n", ["235"]),
        (b"AUTH PLAIN\r\n" + PLAIN + b"\r\n", ["334", "235"]),
        (b"AUTH PLAIN " + WRONG + b"\r\n", ["535"]),
        (b"AUTH PLAIN =\r\n", ["501"]),
        (b"AUTH PLAIN !!!\r\n", ["501"]),
        (b"AUTH PLAIN\r\n*\r\nNOOP\r\n", ["334", "501", "250"]),
        (b"AUTH PLAIN\r\n" + b"A" * 12286 + b"\r\nNOOP\r\n", ["334", "501", "250"]),
        (b"AUTH PLAIN\r\n" + b"A" * 12287 + b"\r\nNOOP\r\n", ["334", "500", "250"]),
        (b"NOOP " + b"A" * 3000 + b"\r\n", ["500"]),
        (b"AUTH LOGIN\r\n" + b64(b"alice") + b"\r\n" + b64(b"pillarbox") + b"\r\n", ["334", "334", "235"]),
        (b"AUTH LOGIN " + b64(b"alice") + b"\r\n" + b64(b"pillarbox") + b"\r\n", ["334", "235"]),
        (b"AUTH LOGIN\r\n" + b64(b"alice") + b"\r\n*\r\n", ["334", "334", "501"]),
        (b"AUTH CRAM-MD5\r\n", ["504"]),
        (b"AUTH\r\n", ["501"]),
        (b"AUTH PLAIN " + PLAIN + b"\r\nAUTH PLAIN " + PLAIN + b"\r\n", ["235", "503"]),
        (b"MAIL FROM:<alice@example.test>\r\n", ["530"]),
        (b"AUTH PLAIN " + PLAIN + b"\r\nMAIL FROM:<alice@example.test>\r\nAUTH PLAIN x\r\n", ["235", "250", "503"]),
    ],
)
async def test_dialogs(octets: bytes, codes: list[str]) -> None:
    run = await same_in_every_cut(HELLO + octets, MSA, tls=TLS)
    assert run.codes[1:] == codes
    assert b"pillarbox" not in run.said
    assert PLAIN not in run.said
    assert "pillarbox" not in repr(run.events)


async def test_challenges_of_login_are_what_outlook_expects() -> None:
    run = await converse([HELLO + b"AUTH LOGIN\r\n" + b64(b"alice") + b"\r\n"], MSA, tls=TLS)
    assert run.replies[1:] == ["334 " + b64(b"Username:").decode(), "334 " + b64(b"Password:").decode()]


async def test_an_empty_challenge_has_its_space() -> None:
    run = await converse([HELLO + b"AUTH PLAIN\r\n"], MSA, tls=TLS)
    assert run.said.endswith(b"\r\n334 \r\n")  # RFC 4954 §4


async def test_scram_speaks_first() -> None:
    first = b64(b"n,,n=alice,r=clientnonce")
    run = await converse([HELLO + b"AUTH SCRAM-SHA-256 " + first + b"\r\n*\r\n"], MSA, tls=TLS)
    assert list(run.codes[1:]) == ["334", "501"]


async def test_login_is_told_and_kept() -> None:
    run = await converse([HELLO + b"AUTH PLAIN " + PLAIN + b"\r\n"], MSA, tls=TLS)
    assert ("login", {"mechanism": "PLAIN", "account": "alice@example.test"}) in run.events
    assert run.replies[1].startswith("235 2.7.0")


async def test_wrong_passwords_end_the_session() -> None:
    run = await same_in_every_cut(HELLO + (b"AUTH PLAIN " + WRONG + b"\r\n") * 5, MSA, tls=TLS)
    assert run.codes[1:] == ["535"] * 3
    assert run.want is Want.CLOSE


async def test_a_mechanism_can_be_switched_off() -> None:
    policy = replace(MSA, mechanisms=("SCRAM-SHA-256",))
    run = await converse([HELLO + b"AUTH PLAIN " + PLAIN + b"\r\n"], policy, tls=TLS)
    assert b"AUTH SCRAM-SHA-256\r\n" in run.said
    assert run.codes[-1] == "504"


@pytest.mark.parametrize(
    "command", [b"AUTH PLAIN " + PLAIN, b"AUTH LOGIN", b"MAIL FROM:<alice@example.test>", b"DATA", b"VRFY x"]
)
async def test_nothing_before_tls_on_submission(command: bytes) -> None:
    run = await same_in_every_cut(HELLO + command + b"\r\n", MSA)
    assert run.replies[1] == "530 5.7.0 Must issue a STARTTLS command first"


@pytest.mark.parametrize("tls", [None, TLS])
async def test_never_to_other_servers(tls: object) -> None:
    run = await converse([HELLO + b"AUTH PLAIN " + PLAIN + b"\r\n"], MX, tls=tls)
    assert run.codes[1] == "502"
    assert Envelope(None).forward_paths == []
    assert ALICE.address not in repr(run.events)


async def test_the_session_ends_with_the_account() -> None:
    message = b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nhalf"
    for octets in (b"", message):
        run = await converse([HELLO + b"AUTH PLAIN " + PLAIN + b"\r\n" + octets], MSA, tls=TLS)
        (closed,) = run.service.watchers
        closed()
        assert run.engine.want is Want.CLOSE
        assert b"".join(run.engine.out.take()).startswith(b"421 4.7.0 ")
        run.engine.disconnected()
        assert run.service.watchers == []
        assert run.service.accepted == []


async def test_the_session_ends_with_the_account_while_a_command_runs() -> None:
    class Closing(FakeService):
        async def check_sender(self, client: Client, envelope: Envelope) -> None:
            self.watchers[0]()

    octets = HELLO + b"AUTH PLAIN " + PLAIN + b"\r\nMAIL FROM:<alice@example.test>\r\nNOOP\r\n"
    run = await converse([octets], MSA, tls=TLS, service=Closing())
    assert run.codes[1:] == ["235", "250", "421"]


async def test_throttled_is_not_a_wrong_password() -> None:
    run = await converse([HELLO + b"AUTH PLAIN " + b64(b"\0busy\0x") + b"\r\nNOOP\r\n"], MSA, tls=TLS)
    assert run.replies[1:] == ["454 4.7.0 Too many attempts; try again in 5 minutes", "250 2.0.0 Ok"]


async def test_a_mechanism_that_only_the_policy_knows() -> None:
    run = await converse([HELLO + b"AUTH GSSAPI\r\n"], replace(MSA, mechanisms=("GSSAPI",)), tls=TLS)
    assert run.codes[1] == "504"
