"""fetchmail: POP3 on 995 and 110, IMAP on 993 and 143; keeping, and deleting."""

from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import BOB, Inbox, message, run

pytestmark = pytest.mark.interop

WAYS = [("pop3s", "pop3", "ssl"), ("pop3", "pop3", ""), ("imaps", "imap", "ssl"), ("imap", "imap", "")]


@pytest.mark.parametrize(("listener", "protocol", "tls"), WAYS)
@pytest.mark.parametrize("keep", ["keep", "nokeep"])
def test_fetches(
    demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, protocol: str, tls: str, keep: str
) -> None:
    drop, rc = tmp_path / "drop", tmp_path / "fetchmailrc"
    rc.write_text(
        f'poll localhost service {demo.port(listener)} protocol {protocol} no dns user "{BOB}" password "{PASSWORD}" '
        f'{tls} sslproto "TLS1.2+" sslcertck sslcertfile "{demo.ca}" {keep} fetchall '
        f'mda "cat >> {drop}"\n'
    )
    rc.chmod(0o600)
    bob.append(message(token))
    run("fetchmail", "-f", str(rc), "--nodetach", "--nosyslog", "--idfile", str(tmp_path / "ids"), home=tmp_path)
    assert f"Subject: {token}".encode() in drop.read_bytes()
    assert b"\n.dotted" in drop.read_bytes()
    assert len(bob.uids(token)) == (1 if keep == "keep" else 0)
