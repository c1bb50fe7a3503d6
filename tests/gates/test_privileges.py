"""Root is given up for good once the ports are open; and the systemd unit leaves little to take."""

import grp
import os
import pwd
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo import SOURCE
from tests.gates.watched import Watched

from pillarbox.server.assembly import StartError
from pillarbox.server.lifecycle import drop_privileges

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "pillarbox.service"
USER = "mail"
"""A user that every Debian has."""

SCRIPT = """
import os, sys
from pathlib import Path
from pillarbox.server.lifecycle import drop_privileges

directory = Path(sys.argv[1]) / "data"
drop_privileges(sys.argv[2], (directory,))
for name, attempt in {
    "setuid": lambda: os.setuid(0), "seteuid": lambda: os.seteuid(0), "setreuid": lambda: os.setreuid(0, 0),
    "setresuid": lambda: os.setresuid(0, 0, 0), "setgid": lambda: os.setgid(0), "setegid": lambda: os.setegid(0),
    "setgroups": lambda: os.setgroups([0]), "shadow": lambda: open("/etc/shadow").close(),
    "chown": lambda: os.chown(directory, 0, 0), "root's files": lambda: open("/etc/pillarbox-test", "w").close(),
}.items():
    try:
        attempt()
    except PermissionError:
        continue
    print("could", name)
print(os.getresuid(), os.getresgid(), os.getgroups(), oct(directory.stat().st_mode), directory.stat().st_uid)
"""


@pytest.fixture
def open_house() -> Iterator[Path]:
    """A directory that other users may pass through."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


def test_without_root_another_user_is_refused_in_words(open_house: Path) -> None:
    """Whoever runs the tests: as root in a child that has become nobody, else right here."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom pillarbox.server.lifecycle import drop_privileges\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: drop_privileges(sys.argv[1], (Path(sys.argv[2]) / 'data',))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, USER, str(open_house)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.stdout.startswith("StartError it was started as "), done.stderr
    assert f"`user` in the configuration is {USER!r}" in done.stdout
    assert list(open_house.iterdir()) == []


def test_its_own_user_is_fine(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    drop_privileges(own, ())
    drop_privileges("", (tmp_path / "data",))
    assert not (tmp_path / "data").exists()


def test_an_unknown_user_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="there is no user 'n0body-here'"):
        drop_privileges("n0body-here", (tmp_path / "data",))


def test_root_does_not_come_back(open_house: Path) -> None:
    if os.geteuid() != 0:
        return  # there is nothing to give up; the refusal above is what holds then
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(open_house), USER],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    entry = pwd.getpwnam(USER)
    groups = sorted({entry.pw_gid, *(g.gr_gid for g in grp.getgrall() if USER in g.gr_mem)})
    ids, gids = (entry.pw_uid,) * 3, (entry.pw_gid,) * 3
    assert done.stdout.strip() == f"{ids} {gids} {groups} 0o40700 {entry.pw_uid}", done.stderr


@pytest.mark.slow
def test_a_server_that_was_started_as_root(open_house: Path) -> None:
    """It opens its ports, becomes another user, and works."""
    if os.geteuid() != 0:
        return  # there is nothing to give up; the refusal above is what holds then
    server = Watched(open_house, user=USER)
    try:
        server.start()
        assert server.process is not None
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        entry = pwd.getpwnam(USER)
        assert re.search(rf"^Uid:\s+{entry.pw_uid}\s+{entry.pw_uid}\s+{entry.pw_uid}\s+{entry.pw_uid}$", status, re.M)
        assert re.search(rf"^Gid:\s+{entry.pw_gid}\s+{entry.pw_gid}\s+{entry.pw_gid}\s+{entry.pw_gid}$", status, re.M)
        assert re.search(rf"^Groups:\s*{entry.pw_gid}\s*$", status, re.M)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert re.search(rf"^{capabilities}:\s+0+$", status, re.M), capabilities
        server.control("add_account", address="alice@example.test", password="correct horse battery")
        with smtplib.SMTP("localhost", server.port("smtp"), timeout=30) as stranger:
            stranger.sendmail("x@far.example", ["alice@example.test"], b"Subject: in\r\n\r\n" + b"large\r\n" * 800_000)
        with smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.trust, timeout=30) as client:
            client.login("alice@example.test", "correct horse battery")
        for folder in (server.data, server.transcripts):
            for path in (folder, *folder.rglob("*")):
                assert path.lstat().st_uid == entry.pw_uid, path
                assert path.lstat().st_gid == entry.pw_gid, path
    finally:
        server.end()


@pytest.mark.slow
def test_the_new_user_need_not_be_able_to_read_the_program(open_house: Path) -> None:
    """A virtual environment below /root: all is loaded before root is given up, also what is needed first for relaying."""
    if os.geteuid() != 0:
        return
    source = open_house / "closed" / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    source.parent.chmod(0o700)
    server = Watched(open_house, user=USER, relay='[dns]\nservers = ["127.0.0.1:9"]', source=source)
    try:
        server.start()
        server.control("add_account", address="alice@example.test", password="correct horse battery")
        with smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.trust, timeout=30) as client:
            client.login("alice@example.test", "correct horse battery")
            client.sendmail(
                "alice@example.test", ["x@far.example"], b"From: alice@example.test\r\nSubject: out\r\n\r\nout\r\n"
            )
        assert "the DNS gives no answer" in server.wait_for("relay_deferred")["reply"]
        assert str(source) in Path(f"/proc/{server.process.pid}/environ").read_text()  # type: ignore[union-attr]
        server.stop()
    finally:
        server.end()


@pytest.mark.slow  # `make test` needs nothing but Python
def test_the_unit_is_sandboxed() -> None:
    """`systemd-analyze security` knows what a service could still do; 10 is everything, and few services are below 3."""
    if shutil.which("systemd-analyze") is None:
        assert not os.environ.get("CI"), "apt-get install systemd"
        pytest.skip("systemd-analyze is not here; .ci/run installs it")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for pillarbox\.service: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= 2.0, done.stdout
