"""Backups are complete, consistent, cheap to repeat; they are proven by opening them, and they come back."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import msgspec
import pytest
from tests.backup.conftest import everything
from tests.store.conftest import message

from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, backup, manifest, segments, snapshot
from pillarbox.store.embedded.backup import back_up
from pillarbox.store.embedded.guard import keep_segments
from pillarbox.store.embedded.manifest import BackupError
from pillarbox.store.spool import Spool


async def problems(made: Path) -> list[str]:
    return [problem async for problem in snapshot.verify(made)]


async def fill(store: EmbeddedStore, count: int) -> None:
    await store.mail.append(1, "INBOX", [NewMessage(Spool.of(message(100 + n))) for n in range(count)])


async def test_it_comes_back_whole(store: EmbeddedStore, data: Path, folder: Path, tmp_path: Path) -> None:
    before = await everything(store)
    made = await asyncio.to_thread(back_up, data, folder)
    assert await problems(made) == []
    assert manifest.read(made).counts == {"accounts": 2, "mailboxes": 13, "messages": 11, "blobs": 11, "queue": 1}
    assert snapshot.restore(made, tmp_path / "new") == []
    again = await EmbeddedStore.open(tmp_path / "new")
    assert await everything(again) == before
    await fill(again, 1)
    await again.close()
    assert (tmp_path / "new" / "access.key").read_bytes() == b"k" * 32
    assert await problems(made) == []  # a restored server shares nothing with its backup


async def test_only_the_owner_may_read_it(store: EmbeddedStore, data: Path, folder: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = back_up(data, folder)
        snapshot.restore(made, tmp_path / "new")
    finally:
        os.umask(old)
    for top in (folder, tmp_path / "new"):
        for path in (top, *top.rglob("*")):
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("links", [True, False])
async def test_what_is_there_already_is_not_copied_again(
    store: EmbeddedStore, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    real = backup._link
    if not links:  # another file system: links work within the backup only
        monkeypatch.setattr(backup, "_link", lambda a, b: real(a, b) if a.is_relative_to(folder) else False)
    first = back_up(data, folder)
    store._log.roll()
    await fill(store, 2)
    second = back_up(data, folder)
    one, two = ({p.name: p.stat() for p in (s / "data" / "segments").iterdir()} for s in (first, second))
    assert len(one) == 2
    assert len(two) == 3
    assert all(one[name].st_ino == two[name].st_ino for name in one)
    shared = sum(p.stat().st_ino == two[p.name].st_ino for p in (data / "segments").iterdir() if p.name in two)
    assert shared == (1 if links else 0)  # the large message; what was appended to was copied
    assert await problems(first) == await problems(second) == []


async def test_a_segment_that_grows_after_it_was_linked_is_still_right(
    store: EmbeddedStore, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "ALONE", -1)  # so that none is taken for one that grows
    made = back_up(data, folder)
    await fill(store, 3)
    assert await problems(made) == []


async def test_old_ones_go_when_asked(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = [back_up(data, folder, clock=lambda n=n: 1e9 + n // 2) for n in range(4)]  # type: ignore[misc]
    assert manifest.snapshots(folder) == made
    last = back_up(data, folder, keep=2, clock=lambda: 2e9)
    assert manifest.snapshots(folder) == [made[-1], last]
    assert manifest.find(folder) == last
    assert sorted(p.name for p in folder.iterdir()) == [".lock", made[-1].name, last.name]
    assert await problems(last) == []


DAMAGE = {
    "data/segments": "is damaged: its hash is another",
    "data/index.sqlite": "is damaged: its hash is another",
    "data/access.key": "is damaged: its hash is another",
}


@pytest.mark.parametrize("passed", [0.0, 0.3, -3600.0])
async def test_the_newest_never_goes(store: EmbeddedStore, data: Path, folder: Path, passed: float) -> None:
    """Also when many are made in a second, and when the clock goes back."""
    made = []
    for n in range(6):
        made.append(back_up(data, folder, keep=2, clock=lambda n=n: 1_700_000_000.0 + n * passed))  # type: ignore[misc]
        assert manifest.snapshots(folder) == made[-2:]
    assert await problems(made[-1]) == []
    assert manifest.find(folder) == made[-1]


@pytest.mark.parametrize("where", DAMAGE)
async def test_damage_is_found(store: EmbeddedStore, data: Path, folder: Path, where: str) -> None:
    made = back_up(data, folder)
    path = made / where
    if path.is_dir():
        path = next(p for p in path.iterdir() if p.stat().st_size < 10**6)
    octets = bytearray(path.read_bytes())
    octets[-40:] = bytes(40) if where != "data/access.key" else b"!" * 40
    path.unlink()
    path.write_bytes(octets)
    found = await problems(made)
    assert any(DAMAGE[where] in p for p in found), found


async def test_each_bad_message_is_named_and_the_others_are_read(
    store: EmbeddedStore, data: Path, folder: Path, tmp_path: Path
) -> None:
    made = back_up(data, folder)
    number, *_ = segments.numbers(made / "data" / "segments")
    path = segments.path_of(made / "data" / "segments", number)
    octets = bytearray(path.read_bytes())
    for n in (2, 5):
        at = octets.index(b"Subject: %03d" % n)
        octets[at : at + 7] = b"XXXXXXX"
    path.write_bytes(octets)
    found = await problems(made)
    assert [p for p in found if "message 3 in INBOX" in p]
    assert [p for p in found if "message 6 in INBOX" in p]
    assert len(found) == 3
    assert len(snapshot.restore(made, tmp_path / "new")) == 1  # restored as it is, and said


async def test_nothing_is_restored_over_something(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    with pytest.raises(BackupError, match="not empty"):
        snapshot.restore(made, data)


async def test_places_that_make_no_backup_are_refused(store: EmbeddedStore, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="lost with it"):
        back_up(data, data / "backups")
    with pytest.raises(BackupError, match="holds no store"):
        back_up(tmp_path / "nothing", tmp_path / "backups")
    with pytest.raises(BackupError, match="no backup"):
        manifest.find(tmp_path)


async def test_a_newer_manifest_is_refused(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    held = msgspec.json.decode((made / "manifest.json").read_bytes())
    (made / "manifest.json").write_bytes(msgspec.json.encode({**held, "format": 99}))
    with pytest.raises(BackupError, match="newer Pillarbox"):
        manifest.read(made)
    (made / "manifest.json").write_bytes(msgspec.json.encode({**held, "files": {"../x": {"size": 0, "sha256": ""}}}))
    with pytest.raises(BackupError, match="outside"):
        manifest.read(made)
    (made / "manifest.json").write_bytes(b'{"format": ' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    with pytest.raises(BackupError, match="damaged"):
        manifest.read(made)


async def test_compaction_waits_for_a_backup(store: EmbeddedStore, data: Path) -> None:
    store._log.roll()
    inbox = await store.mail.open(1, "INBOX")
    there = segments.numbers(data / "segments")
    await store.mail.expunge(1, inbox.mailbox, range(1, 10), deleted_only=False)
    with keep_segments(data):
        await store._sweeper.sweep()
        assert set(there) <= set(segments.numbers(data / "segments"))
    await store._sweeper.sweep()
    assert not set(there) <= set(segments.numbers(data / "segments"))


async def test_under_load(store: EmbeddedStore, data: Path, folder: Path) -> None:
    """Mail comes, goes and is compacted while one backup after the other is made: each is sound and of one moment."""
    over = asyncio.Event()

    async def load() -> int:
        n = 0
        while not over.is_set():
            await fill(store, 5)
            view = await store.mail.open(1, "INBOX")
            await store.mail.expunge(1, view.mailbox, list(view.uids)[-4:], deleted_only=False)
            if n % 5 == 0:
                store._log.roll()
                await store._sweeper.sweep()
            n += 1
        return n

    loading = asyncio.create_task(load())
    made = []
    for _ in range(4):
        made.append(await asyncio.to_thread(back_up, data, folder))
        await asyncio.sleep(0.05)
    over.set()
    assert await loading > 4
    for each in made:
        assert await problems(each) == []


KILLED = """
import os, sys, pathlib
from pillarbox.store.embedded import backup
def slowly(file, size, real=backup.pieces):
    for piece in real(file, size):
        print("piece", flush=True)
        sys.stdin.readline()
        yield piece
backup.pieces = slowly
backup.back_up(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.mark.parametrize("after", [1, 2, 4, 6])
async def test_one_that_is_killed_is_none(store: EmbeddedStore, data: Path, folder: Path, after: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, data, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for n in range(after):
            assert process.stdout.readline() == b"piece\n"
            if n < after - 1:
                process.stdin.write(b"\n")
                process.stdin.flush()
        with pytest.raises(BackupError, match="under way"):
            back_up(data, folder)
        process.send_signal(signal.SIGKILL)
    assert manifest.snapshots(folder) == []
    await store._sweeper.sweep()  # its guard is gone with it
    made = back_up(data, folder)
    assert await problems(made) == []
    assert sorted(p.name for p in folder.iterdir()) == [".lock", made.name]


async def test_a_missing_segment_does_not_stop_it(store: EmbeddedStore, data: Path, folder: Path) -> None:
    segments.path_of(data / "segments", segments.numbers(data / "segments")[-1]).unlink()
    made = back_up(data, folder)
    assert len(manifest.read(made).missing) == 1
    found = await problems(made)
    assert any("missing already" in p for p in found)
    assert sum("missing or damaged" in p for p in found) == 1


async def test_a_store_of_a_newer_version_in_it_is_said(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    index = apsw.Connection(str(made / "data" / "index.sqlite"))
    index.pragma("user_version", 999)
    index.close()
    assert any("newer Pillarbox" in p for p in await problems(made))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_in_a_data_directory_belongs_to_its_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    with keep_segments(tmp_path):
        status = (tmp_path / "backup.lock").stat()
    assert (status.st_uid, status.st_gid) == (4711, 4712)


async def test_what_killed_ones_left_behind_goes_and_nothing_else(
    store: EmbeddedStore, data: Path, folder: Path, tmp_path: Path
) -> None:
    made = back_up(data, folder)
    new, scratch = tmp_path / "new", tmp_path / "scratch"
    left = [tmp_path / ".new.restoring-killed", scratch / "pillarbox-snapshot-killed"]
    held = [tmp_path / ".new.restoring-running", scratch / "pillarbox-snapshot-running"]
    other = [tmp_path / ".newer.restoring-killed", scratch / "pillarbox"]
    for path in (*left, *held, *other):
        path.mkdir(parents=True)
        (path / "mail").write_bytes(b"secret")
    locks = [snapshot._hold(path) for path in held]
    assert snapshot.restore(made, new) == []
    async with snapshot.opened(made, scratch):
        assert len(list(scratch.iterdir())) == 3
    for lock in locks:
        os.close(lock)
    assert [path for path in left if path.exists()] == []
    assert all((path / "mail").read_bytes() == b"secret" for path in (*held, *other))
    assert len(list(scratch.iterdir())) == 2
