"""Transcripts: readable, and without a single secret, however the octets are cut."""

import random
import re
from pathlib import Path

import pytest

from pillarbox.observe.transcript import TranscriptDirectory
from pillarbox.wire.engine import Link

DIALOGUES = {
    "smtp submission": (
        "submission",
        [
            ("S", b"220 mail ESMTP\r\n"),
            ("C", b"EHLO me.example\r\n"),
            ("S", b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n"),
            ("C", b"AUTH PLAIN AGFsaWNlAGh1bnRlcjI=\r\n"),
            ("S", b"235 2.7.0 done\r\n"),
            ("C", b"AUTH LOGIN\r\n"),
            ("S", b"334 VXNlcm5hbWU6\r\n"),
            ("C", b"YWxpY2U=\r\n"),
            ("S", b"334 UGFzc3dvcmQ6\r\n"),
            ("C", b"aHVudGVyMg==\r\n"),
            ("S", b"235 2.7.0 done\r\n"),
            ("C", b"MAIL FROM:<alice@example.test>\r\n"),
            ("S", b"250 2.1.0 fine\r\n"),
            ("C", b"DATA\r\n"),
            ("S", b"354 go on\r\n"),
            ("C", b"Subject: private\r\n\r\nhunter2 is private\r\n.\r\n"),
            ("S", b"250 2.0.0 taken\r\n"),
            ("C", b"BDAT 15 LAST\r\nhunter2 private"),
            ("S", b"250 2.0.0 taken\r\n"),
            ("C", b"QUIT\r\n"),
        ],
        """S: 220 mail ESMTP
C: EHLO me.example
S: 250-mail
S: 250 AUTH PLAIN LOGIN
C: AUTH PLAIN ***
S: 235 2.7.0 done
C: AUTH LOGIN
S: 334 ***
C: ***
S: 334 ***
C: ***
S: 235 2.7.0 done
C: MAIL FROM:<alice@example.test>
S: 250 2.1.0 fine
C: DATA
S: 354 go on
C: (40 octets)
C: .
S: 250 2.0.0 taken
C: BDAT 15 LAST (15 octets)
S: 250 2.0.0 taken
C: QUIT
""",
    ),
    "imap": (
        "imaps",
        [
            ("S", b"* OK ready\r\n"),
            ("C", b'a1 LOGIN alice@example.test "hunter2"\r\n'),
            ("S", b"a1 OK\r\n"),
            ("C", b"a2 LOGIN {5}\r\n"),
            ("S", b"+ go on\r\n"),
            ("C", b"alice {7}\r\nhunter2\r\n"),
            ("S", b"a2 NO\r\n"),
            ("C", b'a3 login {5+}\r\nalice "hunter2"\r\n'),
            ("S", b"a3 NO\r\n"),
            ("C", b"a4 AUTHENTICATE PLAIN\r\n"),
            ("S", b"+ \r\n"),
            ("C", b"AGFsaWNlAGh1bnRlcjI=\r\n"),
            ("S", b"a4 OK\r\n"),
            ("C", b"LOGIN alice hunter2\r\n"),
            ("S", b"* BAD\r\n"),
            ("C", b"a5 FETCH 1 BODY[]\r\n"),
            ("S", b"* 1 FETCH (BODY[] {17}\r\nprivate\r\nhunter2\n)\r\na5 OK\r\n"),
            ("C", b"a6 IDLE\r\n"),
            ("S", b"+ idling\r\n"),
            ("C", b"DONE\r\na7 APPEND INBOX {9+}\r\nhunter2\r\n\r\n"),
            ("S", b"a6 OK\r\na7 OK\r\n"),
        ],
        """S: * OK ready
C: a1 LOGIN ***
S: a1 OK
C: a2 LOGIN *** (literal of 5 octets)
S: + go on
C: *** (literal of 7 octets)
C: ***
S: a2 NO
C: a3 login *** (literal of 5 octets)
C: ***
S: a3 NO
C: a4 AUTHENTICATE PLAIN
S: +\x20
C: ***
S: a4 OK
C: LOGIN ***
S: * BAD
C: a5 FETCH 1 BODY[]
S: * 1 FETCH (BODY[] {17} (17 octets)
S: )
S: a5 OK
C: a6 IDLE
S: + ***
C: DONE
C: a7 APPEND INBOX {9+} (literal of 9 octets)
C:\x20
S: a6 OK
S: a7 OK
""",
    ),
    "pop3": (
        "pop3s",
        [
            ("S", b"+OK ready\r\n"),
            ("C", b"USER alice\r\nPASS hunter2 with spaces\r\n"),
            ("S", b"+OK\r\n+OK in\r\n"),
            ("C", b"LIST\r\nRETR 1\r\nNOOP\r\n"),
            ("S", b"+OK\r\n1 17\r\n.\r\n+OK 17\r\nprivate\r\nhunter2\r\n.\r\n+OK\r\n"),
            ("C", b"hunter2\r\n"),
            ("S", b"-ERR\r\n"),
        ],
        """S: +OK ready
C: USER ***
C: PASS ***
S: +OK
S: +OK in
C: LIST
C: RETR 1
C: NOOP
S: +OK
S: 1 17
S: .
S: +OK 17
S: (18 octets)
S: .
S: +OK
C: ***
S: -ERR
""",
    ),
}


HIDDEN = {
    "smtp": (
        b"AUTH hunter2",
        b"AUTH PLAIN",
        b"AUTH LOGIN alice hunter2",
        b"hunter2 is it",
        b"PASSWORD hunter2",
        b"AUTH\thunter2",
    ),
    "pop3": (b"USER hunter2", b"USER hunter2 x@y", b"PASS hunter2", b" PASS hunter2", b"PASSWD hunter2", b"my hunter2"),
    "imap": (
        b"a UID LOGIN alice hunter2",
        b"LOGIN alice hunter2",
        b"a  LOGIN x hunter2",
        b"hunter2 x",
        b"a XLOGIN hunter2",
    ),
}
"""Lines that no program should send, with a password in them."""


@pytest.mark.parametrize("service", HIDDEN)
def test_lines_that_nobody_understands_are_hidden(tmp_path: Path, service: str) -> None:
    for line in HIDDEN[service]:
        assert "hunter2" not in _write(tmp_path, service, [("C", line + b"\r\n")]), line


@pytest.mark.parametrize(
    ("service", "challenge"), [("smtp", b"334 VXNlcm5hbWU6"), ("pop3", b"+ "), ("imap", b"+ VXNlcm5hbWU6")]
)
def test_until_the_verdict_everything_is_hidden(tmp_path: Path, service: str, challenge: bytes) -> None:
    begin = {"smtp": b"AUTH LOGIN", "pop3": b"AUTH LOGIN", "imap": b"a AUTHENTICATE LOGIN"}[service]
    verdict = {"smtp": b"535 no", "pop3": b"-ERR no", "imap": b"a NO no"}[service]
    after = {"smtp": b"MAIL FROM:<a@b>", "pop3": b"LIST 1", "imap": b"b LIST x y"}[service]
    pieces = [
        ("C", begin),
        ("S", challenge),
        ("C", b"LIST hunter2"),
        ("S", challenge),
        ("C", b"a LIST hunter2"),
        ("S", verdict),
    ]
    text = _write(tmp_path, service, [(side, line + b"\r\n") for side, line in [*pieces, ("C", after)]])
    assert "hunter2" not in text
    assert after.decode() in text


def _write(directory: Path, service: str, pieces: list[tuple[str, bytes]]) -> str:
    transcript = TranscriptDirectory(directory).tap(Link(id=f"t{random.random()}"), service)
    for side, octets in pieces:
        if side == "C":
            transcript.received(octets)
        else:
            transcript.sent([octets])
    transcript.closed()
    (file,) = directory.iterdir()
    text = file.read_text()
    file.unlink()
    return text


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogues(tmp_path: Path, name: str) -> None:
    service, pieces, expected = DIALOGUES[name]
    text = _write(tmp_path, service, pieces)
    assert re.sub(r"^# .*\n", "", text, flags=re.MULTILINE) == expected
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text
    assert "AGFsaWNl" not in text
    octet_by_octet = [(side, octets[i : i + 1]) for side, octets in pieces for i in range(len(octets))]
    assert _write(tmp_path, service, octet_by_octet).split("\n", 1)[1] == text.split("\n", 1)[1]


def test_endless_lines_are_cut(tmp_path: Path) -> None:
    text = _write(tmp_path, "imap", [("C", b"a NOOP " + b"x" * 1_000_000 + b"\r\n")])
    assert len(text) < 4000
    assert "octets)" in text


def test_control_characters_are_shown(tmp_path: Path) -> None:
    text = _write(tmp_path, "smtp", [("C", b"EHLO \x1b[2J\x00\r\n")])
    assert r"C: EHLO \x1b[2J\x00" in text
