"""Dialogs of the client engine with good, old, broken and hostile servers, each cut in three ways."""

import random

import pytest
from tests.smtp.client.dialog import CUTS, TLS, Cut, client, message, ready, talk, whole

from pillarbox.mail.status import Reply
from pillarbox.sasl.scram_message import encode
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.client.engine import SmtpClient, Want
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode

pytestmark = pytest.mark.parametrize("cut", CUTS)


def codes(transaction: object) -> list[int]:
    return [o.code if o else 0 for o in transaction.outcomes]  # type: ignore[attr-defined]


def test_pipelining_sends_everything_at_once(cut: Cut) -> None:
    engine, tx = client(), message("b@them.test", "c@them.test")
    ready(engine, "PIPELINING SIZE 8BITMIME", cut)
    engine.send(tx)
    said = b"".join(engine.out.chunks)
    assert said.endswith(b"DATA\r\n")
    talk(
        engine,
        """
        C: MAIL FROM:<a@us.test> SIZE=100 BODY=8BITMIME
        C: RCPT TO:<b@them.test>
        C: RCPT TO:<c@them.test>
        C: DATA
        S: 250 2.1.0 ok
        S: 550 5.1.1 nobody here
        S: 250 2.1.5 ok
        S: 354 go
        BODY
        S: 250 2.0.0 queued
        """,
        cut,
    )
    assert tx.outcomes == [Reply(550, "5.1.1", "nobody here"), Reply(250, "2.0.0", "queued")]
    assert engine.want is Want.READY


def test_without_pipelining_one_by_one(cut: Cut) -> None:
    engine, tx = client(), message("b@them.test", "c@them.test")
    ready(engine, "", cut)
    engine.send(tx)
    talk(
        engine,
        """
        C: MAIL FROM:<a@us.test>
        S: 250 ok
        C: RCPT TO:<b@them.test>
        S: 451 4.7.1 greylisted
        C: RCPT TO:<c@them.test>
        S: 250 ok
        C: DATA
        S: 354 go
        BODY
        S: 250 ok
        """,
        cut,
    )
    assert codes(tx) == [451, 250]


def test_helo_for_old_servers(cut: Cut) -> None:
    engine, tx = client(), message()
    engine.connected(None)
    talk(engine, "S: 220-hi\nS: 220 there\nC: EHLO us.test\nS: 502 what\nC: HELO us.test\nS: 250 hello", cut)
    engine.send(tx)
    talk(engine, "C: MAIL FROM:<a@us.test>\nS: 553 5.1.8 no", cut)
    assert codes(tx) == [553]
    assert engine.want is Want.READY


@pytest.mark.parametrize("pipelining", ["PIPELINING", ""])
def test_reset_before_the_next_message_when_one_was_left_open(cut: Cut, pipelining: str) -> None:
    engine, tx = client(), message()
    ready(engine, pipelining, cut)
    engine.send(tx)
    if pipelining:
        talk(engine, "C: MAIL FROM:<a@us.test>\nC: RCPT TO:<b@them.test>\nC: DATA", cut)
        talk(engine, "S: 250 ok\nS: 550 5.1.1 no\nS: 503 5.5.1 nobody", cut)
    else:
        talk(engine, "C: MAIL FROM:<a@us.test>\nS: 250 ok\nC: RCPT TO:<b@them.test>\nS: 550 5.1.1 no", cut)
    assert codes(tx) == [550]
    engine.send(message())
    said = b"".join(engine.out.take())
    assert said.startswith(b"RSET\r\n")
    assert (b"MAIL" in said) == bool(pipelining)


def test_nobody_accepted_but_354(cut: Cut) -> None:
    """RFC 2920 §3.1: the server waits for a message then; an empty one goes to nobody."""
    engine, tx = client(), message()
    ready(engine, "PIPELINING", cut)
    engine.send(tx)
    talk(engine, "C: MAIL FROM:<a@us.test>\nC: RCPT TO:<b@them.test>\nC: DATA", cut)
    talk(engine, "S: 250 ok\nS: 450 4.2.1 busy\nS: 354 go\nC: .\nS: 554 no valid recipients", cut)
    assert codes(tx) == [450]
    assert engine.want is Want.READY


def test_552_for_a_recipient_means_too_many(cut: Cut) -> None:
    engine, tx = client(), message("b@them.test", "c@them.test")
    ready(engine, "", cut)
    engine.send(tx)
    talk(engine, "C: MAIL FROM:<a@us.test>\nS: 250 ok\nC: RCPT TO:<b@them.test>\nS: 250 ok", cut)
    talk(engine, "C: RCPT TO:<c@them.test>\nS: 552 too many\nC: DATA\nS: 354 go\nBODY\nS: 250 ok", cut)
    assert codes(tx) == [250, 452]


def test_starttls_begins_anew(cut: Cut) -> None:
    engine = client()
    engine.connected(None)
    talk(
        engine,
        "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250-SIZE 1\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO us.test",
        cut,
    )
    assert engine.extensions == {}
    talk(engine, "S: 250-them\nS: 250 PIPELINING", cut)
    assert engine.extensions == {"PIPELINING": ""}
    assert engine.tls == TLS
    assert engine.want is Want.READY


def test_replies_injected_before_tls_are_forgotten(cut: Cut) -> None:
    """STARTTLS response injection: whoever sits between adds replies in plaintext, to be read as if TLS had vouched."""
    engine = client()
    engine.connected(None)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 STARTTLS\nC: STARTTLS", cut)
    talk(engine, "S: 220 go+\nS: 250-evil+\nS: 250 AUTH PLAIN+\nS: 250 2.0.0 trust me", cut)
    assert engine.want is Want.TLS
    engine.tls_started(TLS)
    assert engine.want is Want.OCTETS
    assert engine.extensions == {}
    talk(engine, "C: EHLO us.test\nS: 250 good", cut)
    assert engine.want is Want.READY


def test_opportunistic_goes_on_without_tls(cut: Cut) -> None:
    engine = client()
    engine.connected(None)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now", cut)
    assert engine.want is Want.READY


@pytest.mark.parametrize("script", ["S: 250 them", "S: 250-them\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now"])
def test_required_tls_is_required(cut: Cut, script: str) -> None:
    engine = client(TlsMode.REQUIRED)
    engine.connected(None)
    talk(engine, "S: 220 hi\nC: EHLO us.test\n" + script, cut)
    assert engine.want is Want.CLOSED
    assert engine.failure is not None
    assert not engine.failure.is_permanent


@pytest.mark.parametrize("script", ["S: 554 go away", "S: 421 4.3.2 busy", "S: 220 hi\nC: EHLO us.test\nS: 421 bye"])
def test_the_server_refuses_the_session(cut: Cut, script: str) -> None:
    engine = client()
    engine.connected(None)
    talk(engine, script, cut)
    assert engine.want is Want.CLOSED
    assert engine.failure is not None
    assert engine.failure.code in (554, 421)


def test_421_in_the_middle(cut: Cut) -> None:
    engine, tx = client(), message("b@them.test", "c@them.test")
    ready(engine, "PIPELINING", cut)
    engine.send(tx)
    engine.out.take()
    talk(engine, "S: 250 ok\nS: 550 5.1.1 nobody\nS: 421 4.3.2 shutting down", cut)
    assert codes(tx) == [550, 421]
    assert engine.want is Want.CLOSED


def test_a_server_that_leaves_after_refusing_the_sender_has_refused(cut: Cut) -> None:
    """Outlook.com closes without another word: that is no temporary trouble."""
    for extensions in ("PIPELINING", ""):
        engine, tx = client(), message("b@them.test", "c@them.test")
        ready(engine, extensions, cut)
        engine.send(tx)
        engine.out.take()
        talk(engine, "S: 550 5.7.1 not from you", cut)
        engine.lost("the server closed the connection")
        assert codes(tx) == [550, 550]


def test_lost_after_the_final_dot_is_no_success(cut: Cut) -> None:
    engine, tx = client(), message()
    ready(engine, "PIPELINING", cut)
    engine.send(tx)
    engine.out.take()
    talk(engine, "S: 250 ok\nS: 250 ok\nS: 354 go\nBODY", cut)
    assert engine.timeout == 600  # RFC 5321 §4.5.3.2.6
    engine.lost("gone")
    assert tx.outcomes == [Reply(451, "4.4.2", "gone")]


def test_refused_while_the_body_is_sent(cut: Cut) -> None:
    engine, tx = client(), message()
    ready(engine, "PIPELINING", cut)
    engine.send(tx)
    engine.out.take()
    talk(engine, "S: 250 ok\nS: 250 ok\nS: 354 go", cut)
    engine.body(b"Subject: x\r\n")
    engine.out.take()
    talk(engine, "S: 552 5.3.4 too big", cut)
    assert codes(tx) == [552]
    assert engine.want is Want.CLOSED


def test_spoken_out_of_turn(cut: Cut) -> None:
    engine = client()
    ready(engine, "PIPELINING", cut)
    talk(engine, "S: 250 extra", cut)
    assert engine.want is Want.CLOSED


def test_size_and_utf8_are_decided_without_asking(cut: Cut) -> None:
    engine = client()
    ready(engine, "PIPELINING", cut)
    engine.extensions["SIZE"] = "1000"
    for tx, enhanced in (
        (message(size=1001), "5.3.4"),
        (message(utf8=True), "5.6.7"),
        (message("jürgen@them.test"), "5.6.7"),
        (message(reverse_path="ä@us.test"), "5.6.7"),
        (message("b@them.test>\r\nRCPT TO:<x"), "5.1.3"),
    ):
        engine.send(tx)
        assert tx.outcomes[0] is not None
        assert tx.outcomes[0].enhanced == enhanced
        assert engine.out.take() == []
        assert engine.want is Want.READY


def test_utf8_where_it_is_offered(cut: Cut) -> None:
    engine, tx = client(), message("jürgen@them.test")
    ready(engine, "SMTPUTF8", cut)
    engine.send(tx)
    assert b"".join(engine.out.take()) == b"MAIL FROM:<a@us.test> SMTPUTF8\r\n"
    talk(engine, "S: 250 ok\nC: RCPT TO:<jürgen@them.test>", cut)


def test_login_plain_inside_tls(cut: Cut) -> None:
    engine = client(TlsMode.IMPLICIT, login=True)
    engine.connected(TLS)
    secret = encode(b"\0relay\0pencil").decode()
    talk(
        engine,
        f"S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 AUTH PLAIN\nC: AUTH PLAIN {secret}\nS: 235 2.7.0 ok",
        cut,
    )
    assert engine.want is Want.READY


def test_login_login(cut: Cut) -> None:
    engine = client(TlsMode.IMPLICIT, login=True)
    engine.connected(TLS)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250-AUTH=LOGIN\nS: 250 AUTH LOGIN\nC: AUTH LOGIN", cut)
    name, password = encode(b"relay").decode(), encode(b"pencil").decode()
    talk(engine, f"S: 334 VXNlcm5hbWU6\nC: {name}\nS: 334 UGFzc3dvcmQ6\nC: {password}\nS: 235 ok", cut)
    assert engine.want is Want.READY


def test_an_impostor_cannot_fake_scram(cut: Cut) -> None:
    engine = client(TlsMode.IMPLICIT, login=True)
    engine.connected(TLS)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 AUTH SCRAM-SHA-256 PLAIN", cut)
    said = b"".join(engine.out.take())
    assert said.startswith(b"AUTH SCRAM-SHA-256 ")
    assert b"pencil" not in said
    talk(engine, "S: 235 2.7.0 welcome without proof", cut)
    assert engine.want is Want.CLOSED
    assert engine.failure is not None
    assert engine.failure.enhanced == "4.7.8"


@pytest.mark.parametrize("script", ["S: 535 5.7.8 wrong", "S: 334 !!!not base64!!!\n", "S: 334 eA=="])
def test_a_refused_login_is_a_temporary_failure(cut: Cut, script: str) -> None:
    engine = client(TlsMode.IMPLICIT, login=True)
    engine.connected(TLS)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 AUTH PLAIN", cut)
    engine.out.take()
    talk(engine, script, cut)
    assert engine.want is Want.CLOSED
    assert engine.failure is not None
    assert engine.failure.code == 451
    assert "pencil" not in str(engine.failure)


def test_no_password_without_tls(cut: Cut) -> None:
    engine = client(TlsMode.OPPORTUNISTIC, login=True)
    engine.connected(None)
    talk(engine, "S: 220 hi\nC: EHLO us.test\nS: 250-them\nS: 250 AUTH PLAIN", cut)
    assert engine.want is Want.CLOSED


def test_quit(cut: Cut) -> None:
    engine = client()
    ready(engine, "", cut)
    engine.quit()
    talk(engine, "C: QUIT\nS: 221 bye", cut)
    assert engine.want is Want.CLOSED
    assert engine.failure is None


def test_any_octets_never_raise(cut: Cut) -> None:
    del cut
    source = random.Random(11)
    words = [
        b"250",
        b"-",
        b" ",
        b"\r\n",
        b"354 go\r\n",
        b"220 x\r\n",
        b"334 \r\n",
        b"421 x\r\n",
        b"STARTTLS",
        b"\xff\x00",
        b"235 x",
    ]
    for _ in range(300):
        engine = SmtpClient(ClientPolicy(), source.choice(list(TlsMode)), Login("a", Secret("b")))
        engine.connected(source.choice([None, TLS]))
        for _ in range(30):
            engine.receive(source.choice(words))
            match engine.want:
                case Want.TLS:
                    engine.tls_started(TLS)
                case Want.READY:
                    engine.send(message())
                case Want.BODY:
                    engine.body(b"x")
                    engine.end_of_body()
        engine.lost("end")
        assert engine.want is Want.CLOSED


def test_whole_is_a_cut(cut: Cut) -> None:
    assert b"".join(cut(b"abc")) == b"".join(whole(b"abc"))
