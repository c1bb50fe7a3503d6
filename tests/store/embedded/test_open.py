"""The data directory: private, used by one process, never of a newer version."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from pillarbox.store.api import NewMessage, StoreError, StoreUnavailable
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.spool import Spool


async def test_nobody_else_may_read_it(store: EmbeddedStore, alice: int, folder: Path) -> None:
    await store.mail.append(alice, "INBOX", [NewMessage(Spool.of(b"\r\n"))])
    modes = {p.relative_to(folder): p.stat().st_mode & 0o777 for p in folder.rglob("*")}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {mode for path, mode in modes.items() if (folder / path).is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if (folder / path).is_dir()} == {0o700}


async def test_a_second_one_is_refused_and_names_the_first(store: EmbeddedStore, folder: Path) -> None:
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        await EmbeddedStore.open(folder)


async def test_another_process_is_refused(store: EmbeddedStore, folder: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from pillarbox.store.embedded import EmbeddedStore\n"
        "asyncio.run(EmbeddedStore.open(pathlib.Path(sys.argv[1])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert f"in use by process {os.getpid()}" in done.stderr


async def test_closing_lets_the_next_one_in(tmp_path: Path) -> None:
    for _ in range(2):
        store = await EmbeddedStore.open(tmp_path / "store")
        await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.directory.add_domain("example.test")


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    await (await EmbeddedStore.open(tmp_path)).close()
    index = apsw.Connection(str(tmp_path / INDEX_FILE))
    index.pragma("user_version", 999)
    index.close()
    for _ in range(2):  # the second time: the lock was let go
        with pytest.raises(StoreError, match="written by a newer Pillarbox"):
            await EmbeddedStore.open(tmp_path)


async def test_what_is_no_index_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / INDEX_FILE).write_bytes(b"not a database, certainly not one" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await EmbeddedStore.open(tmp_path)
