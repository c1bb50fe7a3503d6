"""One demo server for all programs; each test works with messages that carry a token of their own."""

import imaplib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo import PASSWORD, Demo, running_demo

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo") / "data") as demo:
        yield demo


@pytest.fixture
def token() -> str:
    return f"token{secrets.token_hex(8)}"


def program(name: str) -> str:
    """The path of a program; missing ones are skipped at a person's desk and a failure in CI."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and in CI nothing is skipped")
        pytest.skip(
            f"{name} is not installed: apt-get install curl swaks msmtp isync fetchmail mutt openssl gsasl haproxy"
        )
    return path


def run(*command: str, stdin: bytes = b"", home: Path | None = None, timeout: float = 60, check: bool = True) -> str:
    """Run a program to its end, and return what it wrote; fails with that text when its exit status is not 0."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home or "/nonexistent"), "TERM": "vt100"}
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=timeout,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert not check or done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{output}"
    return output


def message(token: str, *, sender: str = ALICE, recipient: str = BOB, text: str = "first\r\n.dotted\r\nlast") -> bytes:
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: {token}\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{token}@interop.example>\r\n\r\n{text}\r\n"
    ).encode()


class Inbox:
    """An account as another client sees it, by IMAP over TLS."""

    def __init__(self, demo: Demo, address: str) -> None:
        self._client = imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=demo.trust)
        self._client.login(address, PASSWORD)

    def uids(self, token: str, mailbox: str = "INBOX") -> list[int]:
        self._client.select(mailbox)
        _, answer = self._client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = [item for item in answer if isinstance(item, tuple)]
        return [
            int(re.search(rb"UID (\d+)", head)[1])  # type: ignore[index]
            for head, header in subjects
            if token.encode() in re.sub(rb"\r\n(?=[ \t])", b"", header)
        ]

    def fetch(self, token: str, mailbox: str = "INBOX") -> bytes:
        """The one message with this token."""
        [uid] = self.uids(token, mailbox)
        _, answer = self._client.uid("FETCH", str(uid), "(BODY.PEEK[])")
        octets: bytes = answer[0][1]
        return octets

    def flags(self, token: str, mailbox: str = "INBOX") -> set[str]:
        [uid] = self.uids(token, mailbox)
        _, answer = self._client.uid("FETCH", str(uid), "(FLAGS)")
        return {flag.decode() for flag in imaplib.ParseFlags(answer[0])}

    def append(self, octets: bytes, mailbox: str = "INBOX") -> None:
        status, _ = self._client.append(mailbox, "", "", octets)
        assert status == "OK"

    def close(self) -> None:
        self._client.logout()


@pytest.fixture
def alice(demo: Demo) -> Iterator[Inbox]:
    inbox = Inbox(demo, ALICE)
    yield inbox
    inbox.close()


@pytest.fixture
def bob(demo: Demo) -> Iterator[Inbox]:
    inbox = Inbox(demo, BOB)
    yield inbox
    inbox.close()
