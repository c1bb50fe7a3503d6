"""mutt: sends with an attachment and files its copy by IMAP; opens a mailbox and saves a message from it."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import ALICE, BOB, Inbox, message, program, run

pytestmark = pytest.mark.interop


def muttrc(demo: Demo, folder: Path, listener: str, scheme: str, user: str) -> Path:
    rc = folder / "muttrc"
    rc.write_text(
        f"set from={user}\nset realname=A\nset ssl_ca_certificates_file={demo.ca}\nset certificate_file=/dev/null\n"
        f"set ssl_force_tls=yes\nset ssl_starttls=yes\nset imap_user={user}\nset imap_pass={PASSWORD}\n"
        f"set smtp_pass={PASSWORD}\nset folder={scheme}://localhost:{demo.port(listener)}/\n"
        "set record=+Sent\nset spoolfile=+INBOX\nset header_cache=\nset quit=yes\nset confirmappend=no\nset confirmcreate=no\n"
        "set wait_key=no\nset mail_check=5\n"
    )
    return rc


@pytest.mark.parametrize(
    ("smtp", "smtp_scheme", "imap", "imap_scheme"),
    [("submissions", "smtps", "imaps", "imaps"), ("submission", "smtp", "imap", "imap")],
)
def test_sends_and_files_its_copy(
    demo: Demo,
    token: str,
    alice: Inbox,
    bob: Inbox,
    tmp_path: Path,
    smtp: str,
    smtp_scheme: str,
    imap: str,
    imap_scheme: str,
) -> None:
    rc = muttrc(demo, tmp_path, imap, imap_scheme, ALICE)
    url = f"{smtp_scheme}://alice%40example.test@localhost:{demo.port(smtp)}"
    attachment = tmp_path / "picture.bin"
    attachment.write_bytes(bytes(range(256)) * 50)
    run(
        "mutt", "-F", str(rc), "-e", f"set smtp_url={url}", "-s", token, "-a", str(attachment), "--", BOB,
        stdin=b"hello\n.\nlast\n", home=tmp_path,
    )  # fmt: skip
    fetched = bob.fetch(token)
    assert b"picture.bin" in fetched
    assert b"\r\n.\r\nlast" in fetched
    assert len(alice.uids(token, "Sent")) == 1, "one copy in Sent, though both the server and mutt file one"


@pytest.mark.parametrize(("listener", "scheme"), [("imaps", "imaps"), ("imap", "imap")])
def test_opens_a_mailbox_and_copies_from_it(
    demo: Demo, token: str, bob: Inbox, tmp_path: Path, listener: str, scheme: str
) -> None:
    bob.append(message(token))
    rc, target = muttrc(demo, tmp_path, listener, scheme, BOB), tmp_path / "copy"
    keys = f"<limit>~s {token}<enter><copy-message>{target}<enter><flag-message><quit>"
    command = [program("mutt"), "-F", str(rc), "-e", f'push "{keys}"']
    screen, terminal = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(tmp_path), "TERM": "vt100"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 30
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    shown += os.read(screen, 65536)
                except OSError:  # the other end is closed: it has ended
                    break
        assert process.wait(timeout=5) == 0, shown[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(screen)
    assert target.read_bytes().replace(b"\n", b"\r\n").rstrip().endswith(b".dotted\r\nlast")
    assert "\\Flagged" in bob.flags(token)
