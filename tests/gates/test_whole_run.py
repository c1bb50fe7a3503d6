"""A whole day of a real server with everything written down that can be; then every place is searched for the passwords, and
what the process did to the machine is looked at."""

import codecs
import os
import re
import stat
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.demo import PORTS
from tests.gates import day
from tests.gates.day import (
    ALICE,
    BOB,
    BROKEN,
    BUG,
    CHANGED,
    CLEAR,
    CLUMSY,
    MISPLACED,
    PROTOCOL,
    RAW,
    RIGHT,
    WORLD,
    WRONG,
)
from tests.gates.watched import Watched

pytestmark = pytest.mark.slow

LOGIN_PORTS = [name for name in PORTS if name != "smtp"]
CLEAR_PORTS = [name for name in PORTS if not name.endswith("s")]


@pytest.fixture(scope="module")
def day_after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The server after its day, stopped; `said` holds what commands printed."""
    server = Watched(tmp_path_factory.mktemp("day"), bad_password=BUG)
    try:
        server.start()
        live(server)
        server.stop()
        yield server
    finally:
        server.end()


def live(server: Watched) -> None:
    """The day."""
    said = [
        server.command("account", "add", who, "--password-stdin", typed=f"{RIGHT}\n") for who in (ALICE, BOB, WORLD)
    ]
    assert all("can send and fetch mail now" in text for text in said), said
    for listener in LOGIN_PORTS:
        protocol = PROTOCOL[listener]
        success = {"smtp": b"235", "pop3": b"+OK", "imap": b"a OK"}[protocol]
        for reply in day.try_each(server, listener, day.logins(protocol, ALICE, RIGHT), tls=True)[
            : 99 if protocol != "pop3" else 0
        ]:
            assert reply.startswith(success), (listener, reply)
        for reply in day.try_each(server, listener, day.logins(protocol, BOB, WRONG), tls=True):
            assert reply[:1] in b"5-a", (listener, reply)
            assert not reply.startswith(success), listener
        assert success[:3] in day.scram(server, listener, BOB, RIGHT), listener
        assert success[:3] not in day.scram(server, listener, BOB, WRONG)
        broken = day.accidents(protocol, ALICE, BROKEN) + day.accidents(protocol, ALICE, RAW)
        day.try_each(server, listener, broken, tls=True)
        day.try_each(
            server,
            listener,
            [lines for name in (MISPLACED, CLUMSY) for lines in day.logins(protocol, name, name)],
            tls=True,
        )
        day.try_each(server, listener, day.logins(protocol, BOB, BUG), tls=True)
    for listener in CLEAR_PORTS:
        protocol = PROTOCOL[listener]
        typed = [lines for word in (CLEAR, RIGHT) for lines in day.logins(protocol, ALICE, word)]
        for reply in day.try_each(server, listener, typed, tls=False):
            assert reply[:1] in b"5-a*", (listener, reply)
        day.try_each(server, listener, day.accidents(protocol, ALICE, BROKEN), tls=False)
    day.mail(server, RIGHT)
    said.append(server.command("account", "passwd", ALICE, "--password-stdin", typed=f"{CHANGED}\n"))
    said.append(server.command("account", "passwd", ALICE, "--password-stdin", typed=f"{BUG}\n"))
    said.append(server.command("account", "add", f"new@{ALICE}", "--password-stdin", typed=f"{CLUMSY}\n"))
    said.append(server.command("account", "add", "carol@example.test", CLUMSY))  # typed where it does not belong
    said.insert(0, server.command("access", "list"))
    assert "(no account here)" in said[0]
    server.wait_for("control_bug")
    (server.directory / "said").write_text("\n".join(said[:-1]))
    half_way(server)


def half_way(server: Watched) -> None:
    """While people are in the middle of logging in, everything in the server is printed."""
    begun = [day.Wire(server, listener, tls=True) for listener in LOGIN_PORTS]
    for connection in begun:
        match connection.protocol:
            case "pop3":
                connection.say(f"USER {ALICE}".encode())
                connection.send(f"PASS {WRONG}\r\n".encode())
            case "smtp":
                connection.send(day.logins("smtp", ALICE, WRONG)[0][0] + b"\r\n")
            case _:
                connection.send(day.logins("imap", ALICE, WRONG)[6][0] + b"\r\n")
    reprs = server.look()
    assert "Engine object at" in reprs
    held = server.open_for_writing()
    assert any(name.endswith("index.sqlite-wal") for name in held)
    own = (str(server.data), str(server.transcripts), str(server.output), "/dev/null")
    assert [name for name in held if not name.startswith(own)] == []
    for connection in begun:
        connection.close()


def test_a_smarthosts_password_is_nowhere_either(tmp_path: Path) -> None:
    """Another server of ours is the smarthost; it gets the right password, then a wrong one."""
    for folder in ("far", "near"):
        (tmp_path / folder).mkdir()
    far = Watched(tmp_path / "far")
    try:
        far.start()
        far.control("add_account", address=ALICE, password=RIGHT)
        far.control("add_account", address=WORLD, password=RIGHT)
        secret = tmp_path / "secret"
        secret.write_text(f"{RIGHT}\n", encoding="utf-8")
        relay = (
            f'first_wait = 1.0\n[relay.smarthost]\nhost = "127.0.0.1"\nport = {far.port("submissions")}\n'
            f'username = "{ALICE}"\npassword_file = "{secret}"'
        )
        near = Watched(tmp_path / "near", relay=relay, trusted=far.data / "ca.pem")
        try:
            near.start()
            near.control("add_account", address=ALICE, password=CHANGED)
            post(near, CHANGED)
            near.wait_for("relay_delivered")
            secret.write_text(f"{WRONG}\n", encoding="utf-8")
            near.reload()
            post(near, CHANGED)
            near.wait_for("relay_deferred")
            near.stop()
        finally:
            near.end()
        far.stop()
    finally:
        far.end()
    for server in (far, near):
        for place, octets in places(server):
            for word in (RIGHT, WRONG, CHANGED):
                assert not [how for how, needle in spellings(word).items() if needle in octets], place


def post(server: Watched, password: str) -> None:
    """One message for the world."""
    with day.wire(server, "submissions") as submitter:
        assert submitter.say(day.logins("smtp", ALICE, password)[0][0]).startswith(b"235")
        for line in (f"MAIL FROM:<{ALICE}>", "RCPT TO:<someone@far.example>", "DATA"):
            assert submitter.say(line.encode())[:1] in b"23"
        assert submitter.say(f"From: {ALICE}\r\nSubject: out\r\n\r\nout\r\n.".encode()).startswith(b"250")


def spellings(secret: str) -> dict[str, bytes]:
    """How a password could have been written down: as it is, encoded, escaped."""
    octets = secret.encode()
    found = {
        "plain": octets,
        "latin": secret.encode("latin-1"),
        "UTF-16": secret.encode("utf-16-le"),
        "hex": octets.hex().encode(),
        "HEX": octets.hex().upper().encode(),
        "URL": quote(secret).encode(),
        "quoted-printable": codecs.encode(octets, "quopri"),
        "UTF-7": codecs.encode(secret, "utf-7"),
        "repr": repr(secret)[1:-1].encode(),
        "repr of octets": repr(octets)[2:-1].encode(),
        "JSON": secret.encode("ascii", "backslashreplace"),
        "quoted": secret.replace("\\", "\\\\").replace('"', '\\"').encode(),
        "reversed": octets[::-1],
        "tail": octets[3:],
        "head": octets[:-3],
    }
    for shift in range(3):  # a base64 text depends on how many octets stand before
        encoded = b64encode(b"\0" * shift + octets)
        found[f"base64 {shift}"] = encoded[(shift * 8 + 5) // 6 : len(encoded) - 4]
    return found


def places(server: Watched) -> Iterator[tuple[str, bytes]]:
    for path in sorted(server.directory.rglob("*")):
        if path.is_file() and path != server.config:
            yield str(path.relative_to(server.directory)), path.read_bytes()


def test_no_password_is_anywhere(day_after: Watched) -> None:
    searched, found = 0, []
    needles = [(secret, how, octets) for secret in day.SECRETS for how, octets in spellings(secret).items()]
    for place, octets in places(day_after):
        searched += len(octets)
        for secret, how, needle in needles:
            if needle in octets:
                at = octets.index(needle)
                found.append((place, secret, how, octets[max(0, at - 150) : at + 50]))
    assert not found, "\n".join(map(str, found[:20]))
    assert searched > 1_000_000


def test_the_search_would_find_them() -> None:
    for secret in day.SECRETS:
        for before in ("", "x", "xy", "\0alice@example.test\0"):
            encoded = b64encode(f"{before}{secret}".encode())
            assert any(needle in encoded for how, needle in spellings(secret).items() if how.startswith("base64"))


def test_what_happened_was_written_down(day_after: Watched) -> None:
    """The search above means something only if the log and the transcripts are full."""
    events = [event["event"] for event in day_after.events()]
    for event in (
        "login",
        "login_failed",
        "login_refused",
        "password_in_clear",
        "internal_error",
        "control_bug",
    ):
        assert event in events, event
    output = day_after.output.read_text()
    assert "the hasher broke" in output
    assert "Traceback" in output
    dialogues = [path.read_text() for path in day_after.transcripts.iterdir()]
    assert len(dialogues) > 300
    for shown in ("AUTH PLAIN ***", "PASS ***", "LOGIN ***", "AUTHENTICATE PLAIN ***"):
        assert any(shown in text for text in dialogues), shown


def test_files_are_for_their_owner_alone(day_after: Watched) -> None:
    """The server was started with umask 0."""
    seen = 0
    for folder in (day_after.data, day_after.transcripts):
        for path in (folder, *folder.rglob("*")):
            mode = stat.S_IMODE(path.lstat().st_mode)
            wanted = 0o700 if path.is_dir() else 0o600
            public = path.name in ("ca.pem", "server.pem")  # certificates
            assert mode == wanted or (public and mode & 0o022 == 0), f"{path} has {mode:o}"
            assert path.lstat().st_uid == os.geteuid()
            assert not path.is_symlink()
            seen += 1
    assert seen > 300


def test_nothing_is_written_elsewhere(day_after: Watched) -> None:
    allowed = (f"{day_after.data}", f"{day_after.transcripts}")
    outside = [
        (event, path)
        for event, path in day_after.audit["written"]
        if not path.startswith(tuple(f"{folder}/" for folder in allowed)) and path not in allowed
    ]
    no_files = (str(day_after.report), "/dev/null")
    assert not [entry for entry in outside if not entry[1].startswith(no_files)]
    assert list(day_after.elsewhere.iterdir()) == []  # also what SQLite and C code would have left
    assert any(path.endswith(".segment") for _, path in day_after.audit["written"])


def test_nothing_is_started_and_no_data_becomes_code(day_after: Watched) -> None:
    assert day_after.audit["started"] == []
    assert day_after.audit["code"] == []


def test_nothing_unexplained_in_the_log(day_after: Watched) -> None:
    bugs = [e for e in day_after.events() if e["event"] in ("bug", "internal_error", "control_bug", "library")]
    assert all("the hasher broke" in re.sub(r"\s+", " ", str(e)) for e in bugs), bugs
