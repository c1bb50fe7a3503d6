"""Formats carry versions: newer ones are refused in a sentence, older ones are migrated wholly or not at all."""

import tarfile
from pathlib import Path

import apsw
import pytest
from tools.data_fixture import MESSAGES, contents

from pillarbox.store.api import StoreError
from pillarbox.store.embedded import EmbeddedStore, schema, segments
from pillarbox.store.embedded.schema import INDEX_FILE

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures").glob("data-*/data.tar"))


async def test_segments_of_a_newer_version_are_refused(store: EmbeddedStore, folder: Path) -> None:
    await store.close()
    (folder / "segments" / "00000009.segment").write_bytes(b"Pillarbox segment 12\nwhatever")
    with pytest.raises(StoreError, match=r"newer Pillarbox \(segments of version 12, this one knows 1\)"):
        await EmbeddedStore.open(folder)
    assert segments.FILE_HEADER == b"Pillarbox segment 1\n"


def _next_schema(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, *steps])
    monkeypatch.setattr(schema, "VERSION", len(schema.STEPS))


async def test_a_migration_keeps_a_copy_of_what_was(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    before = schema.VERSION
    _next_schema(monkeypatch, "CREATE TABLE new (a)", "INSERT INTO new SELECT address FROM accounts")
    for _ in range(2):
        await (await EmbeddedStore.open(folder)).close()
    index = apsw.Connection(str(folder / INDEX_FILE))
    assert index.pragma("user_version") == before + 2
    assert index.execute("SELECT a FROM new").fetchall() == [("alice@example.test",)]
    kept = folder / f"{INDEX_FILE}.schema-{before}"
    assert kept.stat().st_mode & 0o777 == 0o600
    old = apsw.Connection(str(kept))
    assert old.pragma("user_version") == before
    assert old.execute("SELECT address FROM accounts").get == "alice@example.test"


async def test_a_migration_that_fails_changes_nothing(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    before = schema.VERSION
    with monkeypatch.context() as newer:
        _next_schema(newer, "DELETE FROM accounts", "INSERT INTO nothing VALUES (1)")
        for _ in range(2):
            with pytest.raises(StoreError, match=f"from schema {before} to {before + 2}.*Nothing was changed"):
                await EmbeddedStore.open(folder)
    again = await EmbeddedStore.open(folder)
    assert [a.address for a in await again.directory.accounts()] == ["alice@example.test"]
    await again.close()


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda p: p.parent.name)
async def test_what_each_version_wrote_is_read(fixture: Path, tmp_path: Path) -> None:
    with tarfile.open(fixture) as tar:
        tar.extractall(tmp_path, filter="data")
    store = await EmbeddedStore.open(tmp_path / "data")
    assert [p async for p in store.check.problems(repair=False)] == []
    assert await contents(store) == MESSAGES
    assert len(await store.queue.entries()) == 1
    await store.close()


def test_there_is_one_for_this_version() -> None:
    assert FIXTURES
