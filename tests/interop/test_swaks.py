"""swaks: 25, 465 and 587, with each mechanism that it and the server know."""

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import ALICE, BOB, Inbox, run

pytestmark = pytest.mark.interop


def swaks(demo: Demo, listener: str, *options: str, check: bool = True) -> str:
    server = ("--server", "localhost", "--port", str(demo.port(listener)), "--helo", "client.example")
    return run("swaks", *server, *options, check=check)


def trust(demo: Demo) -> tuple[str, ...]:
    return ("--tls-verify", "--tls-ca-path", str(demo.ca))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("listener", "tls"), [("submissions", "--tls-on-connect"), ("submission", "--tls")])
def test_submits(demo: Demo, token: str, bob: Inbox, listener: str, tls: str, mechanism: str) -> None:
    swaks(
        demo, listener, tls, *trust(demo), "--from", ALICE, "--to", BOB, "--header", f"Subject: {token}",
        "--auth", mechanism, "--auth-user", ALICE, "--auth-password", PASSWORD,
    )  # fmt: skip
    assert b"This is a test mailing" in bob.fetch(token)


def test_blind_copies_stay_in_sent(demo: Demo, token: str, alice: Inbox, bob: Inbox) -> None:
    swaks(
        demo, "submissions", "--tls-on-connect", *trust(demo), "--from", ALICE, "--to", f"{ALICE},{BOB}",
        "--auth-user", ALICE, "--auth-password", PASSWORD, "--header", f"Subject: {token}", "--add-header", f"Bcc: {BOB}",
    )  # fmt: skip
    assert b"\r\nBcc: " not in alice.fetch(token)
    assert b"\r\nBcc: " not in bob.fetch(token)
    assert f"\r\nBcc: {BOB}\r\n".encode() in alice.fetch(token, "Sent")


@pytest.mark.parametrize("tls", [True, False])
def test_brings_mail_on_port_25(demo: Demo, token: str, bob: Inbox, tls: bool) -> None:
    options = ("--tls", *trust(demo)) if tls else ()
    addresses = ("--from", "carol@elsewhere.example", "--to", BOB)
    swaks(demo, "smtp", *options, *addresses, "--header", f"Subject: {token}")
    assert (b"with ESMTPS" in bob.fetch(token)) is tls


def test_no_mechanism_is_offered_on_port_25(demo: Demo) -> None:
    options = ("--tls", *trust(demo), "--auth", "--auth-user", ALICE, "--auth-password", PASSWORD)
    output = swaks(demo, "smtp", *options, "--from", ALICE, "--to", BOB, check=False)
    assert "Host did not advertise authentication" in output


def test_strangers_cannot_relay(demo: Demo) -> None:
    output = swaks(
        demo, "smtp", "--tls", *trust(demo), "--from", ALICE, "--to", "x@third.example", check=False
    )  # fmt: skip
    assert "550 5.7.1" in output


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_refused(demo: Demo, mechanism: str) -> None:
    output = swaks(
        demo, "submissions", "--tls-on-connect", *trust(demo), "--from", ALICE, "--to", BOB,
        "--auth", mechanism, "--auth-user", ALICE, "--auth-password", "wrong", check=False,
    )  # fmt: skip
    assert "535 5.7.8" in output


def test_a_password_before_tls_is_refused(demo: Demo) -> None:
    options = ("--auth", "--auth-user", ALICE, "--auth-password", PASSWORD, "--from", ALICE, "--to", BOB)
    assert "Host did not advertise authentication" in swaks(demo, "submission", *options, check=False)


def test_a_large_message_in_chunks_of_a_slow_line(demo: Demo, token: str, bob: Inbox) -> None:
    swaks(
        demo, "submissions", "--tls-on-connect", *trust(demo), "--from", ALICE, "--to", BOB,
        "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD, "--header", f"Subject: {token}",
        "--body", "0123456789 " * 20 + "\n.\n..\n" + "x" * 900,
    )  # fmt: skip
    assert b"\r\n.\r\n..\r\n" + b"x" * 900 in bob.fetch(token)
