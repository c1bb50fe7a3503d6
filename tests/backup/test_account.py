"""The mail of one account comes back beside what is there: nothing is doubled, nothing is overwritten."""

from pathlib import Path
from typing import Any

import pytest
from tests.backup.conftest import everything
from tests.store.conftest import HASHES, message

from pillarbox.server.administration import Administration, Refusal
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, segments
from pillarbox.store.embedded.backup import back_up
from pillarbox.store.spool import Spool

ALICE = "alice@example.test"


async def restore(store: EmbeddedStore, made: Path, mailbox: str | None = None, address: str = ALICE) -> dict[str, Any]:
    arguments = {"snapshot": str(made), "address": address, "mailbox": mailbox}
    done = await Administration(store).perform("restore_mail", arguments)
    assert isinstance(done, dict)
    return done


async def test_what_is_there_is_not_doubled(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    before = await everything(store)
    assert await restore(store, made) == {"added": 0, "present": 11, "unreadable": []}
    assert await everything(store) == before


async def test_what_was_deleted_comes_back_with_flags_and_dates(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    inbox = await store.mail.open(1, "INBOX")
    await store.mail.expunge(1, inbox.mailbox, [2, 3, 10], deleted_only=False)
    await store.mail.append(1, "INBOX", [NewMessage(Spool.of(message(1)), frozenset({"new"}))])  # the same octets as 2
    await store.mail.delete(1, "Lists")
    assert await restore(store, made, "inbox") == {"added": 2, "present": 8, "unreadable": []}
    assert list(inbox.uids) == [1, 4, 5, 6, 7, 8, 9, 11, 12, 13]
    assert inbox.flags_of(11) == {"new"}
    assert inbox.flags_of(12) == {"\\Seen", "work", "\\Flagged"}
    assert inbox.internaldates[inbox.index(12)] == 1002
    assert await store.mail.octets(1, inbox.mailbox, 12) == message(2)
    assert await restore(store, made) == {"added": 1, "present": 10, "unreadable": []}
    lists = await store.mail.open(1, "Lists")
    assert await store.mail.octets(1, lists.mailbox, 1) == message(50)
    assert await restore(store, made) == {"added": 0, "present": 11, "unreadable": []}
    assert [p async for p in store.check.problems(repair=False)] == []


async def test_an_account_that_was_removed_comes_back(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    await store.directory.remove_account(1)
    assert (await restore(store, made))["added"] == 11
    account = await store.directory.account(ALICE)
    assert account is not None
    assert account.quota == 10**9
    assert await store.directory.hashes(account.id) == HASHES
    assert (await store.mail.usage(account.id))[1] == 11


async def test_bad_records_are_named_and_the_others_come_back(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    inbox = await store.mail.open(1, "INBOX")
    await store.mail.expunge(1, inbox.mailbox, None, deleted_only=False)
    path = segments.path_of(made / "data" / "segments", segments.numbers(made / "data" / "segments")[0])
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"Subject: 004")] = 0
    path.write_bytes(octets)
    done = await restore(store, made, "INBOX")
    assert done["added"] == 9
    assert done["unreadable"] == ["message 5 in INBOX is damaged in the backup"]


async def test_what_the_backup_does_not_have_is_said(store: EmbeddedStore, data: Path, folder: Path) -> None:
    made = back_up(data, folder)
    for arguments, what in (
        ((made, None, "nobody@example.test"), "no account nobody@example.test"),
        ((made, "Nowhere"), "no mailbox Nowhere"),
        ((folder,), "cannot be read"),
    ):
        with pytest.raises(Refusal) as refused:
            await restore(store, *arguments)  # type: ignore[arg-type]
        assert what in refused.value.text
