"""curl: up and down over each of the seven ports, certificate verified."""

import re
from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import ALICE, BOB, Inbox, message, run

pytestmark = pytest.mark.interop

SUBMISSION = [("submissions", "smtps"), ("submission", "smtp")]
MAILDROP = [("pop3s", "pop3s"), ("pop3", "pop3")]
MAILBOXES = [("imaps", "imaps"), ("imap", "imap")]


def curl(demo: Demo, listener: str, scheme: str, path: str, *options: str, user: str = BOB, check: bool = True) -> str:
    url = f"{scheme}://localhost:{demo.port(listener)}/{path}"
    login = ["--user", f"{user}:{PASSWORD}"] if user else []
    return run("curl", "-sS", "--ssl-reqd", "--cacert", str(demo.ca), *login, *options, url, check=check)


@pytest.mark.parametrize(("listener", "scheme"), SUBMISSION)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_submits(
    demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, scheme: str, mechanism: str
) -> None:
    file = tmp_path / "message"
    file.write_bytes(message(token))
    options = ("--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(file))
    curl(demo, listener, scheme, "", *options, "--login-options", f"AUTH={mechanism}", user=ALICE)
    assert bob.fetch(token).endswith(message(token))


def test_brings_mail_on_port_25_in_tls(demo: Demo, token: str, bob: Inbox, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(message(token, sender="carol@elsewhere.example"))
    options = ("--mail-from", "carol@elsewhere.example", "--mail-rcpt", BOB, "--upload-file", str(file))
    curl(demo, "smtp", "smtp", "", *options, user="")
    fetched = bob.fetch(token)
    assert fetched.endswith(file.read_bytes())
    assert b"ESMTPS" in fetched
    assert b"TLSv1.3" in fetched or b"TLS1.3" in fetched


def test_is_refused_without_log_in(demo: Demo, token: str, bob: Inbox, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(message(token))
    options = ("--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(file))
    assert "530" in curl(demo, "submission", "smtp", "", *options, user="", check=False)
    assert bob.uids(token) == []


@pytest.mark.parametrize(("listener", "scheme"), MAILDROP)
def test_fetches_by_pop3(demo: Demo, token: str, bob: Inbox, listener: str, scheme: str) -> None:
    bob.append(message(token))
    numbers = re.findall(r"^(\d+) ", curl(demo, listener, scheme, ""), re.MULTILINE)
    last = curl(demo, listener, scheme, numbers[-1])
    assert last.encode() == message(token).replace(b"\r\n", b"\r\n")


@pytest.mark.parametrize(("listener", "scheme"), MAILDROP)
def test_deletes_by_pop3(demo: Demo, token: str, bob: Inbox, listener: str, scheme: str) -> None:
    bob.append(message(token))
    number = re.findall(r"^(\d+) ", curl(demo, listener, scheme, ""), re.MULTILINE)[-1]
    curl(demo, listener, scheme, number, "--request", "DELE", "--list-only")
    assert bob.uids(token) == []


@pytest.mark.parametrize(("listener", "scheme"), MAILBOXES)
def test_puts_and_gets_by_imap(demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, scheme: str) -> None:
    file = tmp_path / "message"
    file.write_bytes(message(token))
    curl(demo, listener, scheme, "Archive", "--upload-file", str(file))
    [uid] = bob.uids(token, "Archive")
    assert curl(demo, listener, scheme, f"Archive;UID={uid}").encode() == message(token)
    assert f" {uid}" in curl(demo, listener, scheme, "Archive", "--request", f"UID SEARCH SUBJECT {token}")


@pytest.mark.parametrize(("listener", "scheme"), [*MAILBOXES, *MAILDROP])
def test_will_not_log_in_without_tls(demo: Demo, listener: str, scheme: str) -> None:
    if scheme.endswith("s"):
        return
    url = f"{scheme}://localhost:{demo.port(listener)}/"
    output = run("curl", "-sS", "--user", f"{BOB}:{PASSWORD}", url, check=False)
    assert "denied" in output.lower() or "no known auth" in output.lower() or "login" in output.lower()


@pytest.mark.parametrize("listener", ["submissions", "pop3s", "imaps"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "mail.example.test"])
def test_the_certificate_names_every_way_in(demo: Demo, listener: str, host: str) -> None:
    scheme = {"submissions": "smtps", "pop3s": "pop3s", "imaps": "imaps"}[listener]
    port = demo.port(listener)
    options = ["--resolve", f"mail.example.test:{port}:127.0.0.1", "--cacert", str(demo.ca)]
    output = run("curl", "-v", *options, "--user", f"{BOB}:{PASSWORD}", f"{scheme}://{host}:{port}/", check=False)
    assert "SSL certificate verify ok" in output
