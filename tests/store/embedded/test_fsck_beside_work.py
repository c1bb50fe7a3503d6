"""fsck looks at a store that goes on working: what compaction moves meanwhile is no damage."""

from pathlib import Path
from typing import Any

import pytest

from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import NewMessage, PasswordHashes
from pillarbox.store.embedded import EmbeddedStore, compaction
from pillarbox.store.spool import Spool


@pytest.mark.parametrize("repair", [False, True])
async def test_octets_move_while_fsck_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, repair: bool) -> None:
    monkeypatch.setattr(compaction, "_LIVE_SHARE", 2.0)  # always worth it
    store = await EmbeddedStore.open(tmp_path)
    await store.directory.add_domain("example.test")
    account = await store.directory.add_account("a@example.test", PasswordHashes("x", ScramKeys(b"s", 1, b"k", b"k")))
    for number in range(5):
        await store.mail.append(account.id, "INBOX", [NewMessage(Spool.of(b"%d" % number * 1000), frozenset())])
    await store.close()

    store = await EmbeddedStore.open(tmp_path)  # appends to another segment from now on
    real = store.check._query  # type: ignore[attr-defined]

    async def query(sql: str, values: tuple[object, ...] = ()) -> Any:
        rows = await real(sql, values)
        if sql.startswith("SELECT id, segment, offset, size, crc FROM blobs WHERE id >") and values == (0, 200):
            await store._sweeper._compaction.run()
        return rows

    monkeypatch.setattr(store.check, "_query", query)
    assert [p async for p in store.check.problems(repair=repair)] == []
    info = next(m for m in await store.mail.mailboxes(account.id) if m.name == "INBOX")
    for number in range(5):
        assert await store.mail.octets(account.id, info.id, number + 1) == b"%d" % number * 1000
    await store.close()


async def test_messages_go_while_fsck_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are compared with those of the same messages, whatever the view has become."""
    store = await EmbeddedStore.open(tmp_path)
    await store.directory.add_domain("example.test")
    account = await store.directory.add_account("a@example.test", PasswordHashes("x", ScramKeys(b"s", 1, b"k", b"k")))
    for number in range(5):
        await store.mail.append(account.id, "INBOX", [NewMessage(Spool.of(b"x" * number), frozenset())])
    inbox = (await store.mail.open(account.id, "INBOX")).mailbox
    real = store.check._query  # type: ignore[attr-defined]

    async def query(sql: str, values: tuple[object, ...] = ()) -> Any:
        rows = await real(sql, values)
        if sql.startswith("SELECT uid, size FROM messages") and values == (inbox,):
            await store.mail.expunge(account.id, inbox, [2], deleted_only=False)
        return rows

    monkeypatch.setattr(store.check, "_query", query)
    assert [p async for p in store.check.problems(repair=True)] == []
    await store.close()
