"""msmtp: 465 and 587 with PLAIN, LOGIN and SCRAM-SHA-256."""

from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import ALICE, BOB, Inbox, message, run

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
@pytest.mark.parametrize(("listener", "starttls"), [("submissions", "off"), ("submission", "on")])
def test_submits(
    demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, starttls: str, mechanism: str
) -> None:
    rc = tmp_path / "msmtprc"
    rc.write_text(
        f"account default\nhost localhost\nport {demo.port(listener)}\nfrom {ALICE}\ntls on\ntls_starttls {starttls}\n"
        f"tls_trust_file {demo.ca}\nauth {mechanism}\nuser {ALICE}\npassword {PASSWORD}\n"
    )
    rc.chmod(0o600)
    sent = message(token)
    run("msmtp", "-C", str(rc), BOB, stdin=sent.replace(b"\r\n", b"\n"), home=tmp_path)
    assert bob.fetch(token).endswith(sent)


def test_asks_for_a_confirmation(demo: Demo, token: str, alice: Inbox, bob: Inbox, tmp_path: Path) -> None:
    rc = tmp_path / "msmtprc"
    rc.write_text(
        f"account default\nhost localhost\nport {demo.port('submissions')}\nfrom {ALICE}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {demo.ca}\nauth plain\nuser {ALICE}\npassword {PASSWORD}\n"
        "dsn_notify success,failure\ndsn_return headers\n"
    )
    rc.chmod(0o600)
    run("msmtp", "-C", str(rc), BOB, stdin=message(token), home=tmp_path)
    assert bob.fetch(token).endswith(message(token))
    assert b"Action: delivered" in alice.fetch(token)


def test_the_copy_in_sent_is_there_once_and_seen(demo: Demo, token: str, alice: Inbox, tmp_path: Path) -> None:
    command = ("msmtp", "--host=localhost", f"--port={demo.port('submissions')}", "--tls=on", "--tls-starttls=off")
    secret = tmp_path / "secret"
    secret.write_text(f"#!/bin/sh\nprintf %s {PASSWORD}\n")
    secret.chmod(0o700)
    options = (f"--tls-trust-file={demo.ca}", "--auth=on", f"--user={ALICE}", f"--passwordeval={secret}")
    run(*command, *options, f"--from={ALICE}", BOB, stdin=message(token), home=tmp_path)
    assert alice.fetch(token, "Sent").endswith(message(token))
    assert "\\Seen" in alice.flags(token, "Sent")
    alice.append(message(token), "Sent")  # as a mail program does by itself
    assert len(alice.uids(token, "Sent")) == 1
