"""SEARCH in header fields of a large mailbox asks the full-text index first."""

from collections.abc import Sequence

import pytest
from tests.imap.client import Client, Server

from pillarbox.imap.search import program
from pillarbox.imap.search.column import Columns
from pillarbox.store.api import MessageRecord, NewMessage
from pillarbox.store.spool import Spool

SUBJECTS = ["apples", "pears and apples", "plums", "apples again"]


async def found(client: Client, keys: str) -> list[int]:
    answer = await client.say(f"UID SEARCH {keys}".encode())
    assert answer[-1].startswith("OK"), answer
    return [int(uid) for uid in answer[0].split()[2:]]


@pytest.fixture
async def client(server: Server) -> Client:
    letters = [NewMessage(Spool.of(f"Subject: {subject}\r\n\r\n".encode())) for subject in SUBJECTS]
    await server.store.mail.append(server.account.id, "INBOX", letters)
    return await server.client("INBOX")


async def test_it_reads_what_the_index_names(server: Server, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = server.store.mail
    named: list[list[int] | None] = [[2, 3, 99]]
    read: list[int] = []
    records = mail.records

    async def may_hold(_account: int, _mailbox: int, _needle: str) -> list[int] | None:
        return named[-1]

    async def counted(account: int, mailbox: int, uids: Sequence[int]) -> list[MessageRecord | None]:
        read.extend(uids)
        return await records(account, mailbox, uids)

    assert await found(client, "SUBJECT Apples") == [1, 2, 4]
    monkeypatch.setattr(program, "MANY", len(SUBJECTS) - 1)
    monkeypatch.setattr(program, "COLUMNS", Columns())
    monkeypatch.setattr(mail, "may_hold", may_hold)
    monkeypatch.setattr(mail, "records", counted)
    assert await found(client, "SUBJECT Apples") == [2]
    assert read == [2, 3]  # what is not there is not read, and no column was made
    monkeypatch.setattr(program, "BATCH", len(SUBJECTS) - 1)
    for each in (None, [1, 2, 3, 4]):  # it cannot tell, or names too many to read them
        named.append(each)
        assert await found(client, "SUBJECT Apples") == [1, 2, 4]
