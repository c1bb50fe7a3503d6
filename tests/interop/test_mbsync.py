"""mbsync: mailboxes to Maildirs and back, over 993 and 143."""

import re
from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import BOB, Inbox, message, run

pytestmark = pytest.mark.interop


def unmarked(octets: bytes) -> bytes:
    """Without the field by which mbsync finds again what it copied."""
    return re.sub(rb"X-TUID: \S+\r?\n", b"", octets)


@pytest.mark.parametrize(("listener", "tls"), [("imaps", "IMAPS"), ("imap", "STARTTLS")])
def test_both_ways(demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, tls: str) -> None:
    rc, maildir = tmp_path / "mbsyncrc", tmp_path / "mail"
    maildir.mkdir()
    rc.write_text(
        f"IMAPAccount demo\nHost localhost\nPort {demo.port(listener)}\nUser {BOB}\nPass {PASSWORD}\nSSLType {tls}\n"
        f"CertificateFile {demo.ca}\n\nIMAPStore far\nAccount demo\n\n"
        f"MaildirStore near\nPath {maildir}/\nInbox {maildir}/Inbox\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns INBOX Archive Sent\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    sync = ("mbsync", "-c", str(rc), "all")
    bob.append(message(token))
    run(*sync, home=tmp_path)
    [file] = [f for f in maildir.rglob("*") if f.is_file() and token.encode() in f.read_bytes()]
    assert unmarked(file.read_bytes()) == message(token).replace(b"\r\n", b"\n")

    # read and answered here, and a new message in Archive: both must arrive there
    folder = file.parent.parent / "cur"
    file.rename(folder / (file.name.partition(":")[0] + ":2,RS"))
    new = maildir / "Archive" / "new" / "1.interop.local"
    new.write_bytes(message(token + "up").replace(b"\r\n", b"\n"))
    run(*sync, home=tmp_path)
    assert {"\\Seen", "\\Answered"} <= bob.flags(token)
    assert unmarked(bob.fetch(token + "up", "Archive")) == message(token + "up")

    # deleted here: gone there
    [file] = [f for f in (maildir / "Inbox").rglob("*") if f.is_file() and token.encode() in f.read_bytes()]
    file.unlink()
    run(*sync, home=tmp_path)
    assert bob.uids(token) == []
