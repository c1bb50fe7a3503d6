"""What the store knows of a text without reading messages is not read by a search, and all else is."""

from collections.abc import Sequence

import pytest
from tests.imap.client import Client, Server

from pillarbox.imap.search import program
from pillarbox.store.api import Held, NewMessage
from pillarbox.store.spool import Spool


async def found(client: Client, keys: str) -> list[int]:
    answer = await client.say(b"SEARCH " + keys.encode())
    assert answer[-1] == "OK SEARCH completed", answer
    return [int(number) for number in answer[0].split()[2:]]


async def test_what_the_store_knows_is_not_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = server.store.mail
    await mail.append(
        server.account.id, "INBOX", [NewMessage(Spool.of(b"Subject: %d\r\n\r\ntext" % n)) for n in range(4)]
    )
    view = await mail.open(server.account.id, "INBOX")
    await mail.expunge(server.account.id, view.mailbox, [1], deleted_only=False)
    client = await server.client("INBOX")
    asked: list[tuple[list[int], str, bool]] = []
    read: list[int] = []
    contents = mail.contents
    answers = {"one": Held([2, 3], [4]), "two": Held([3, 4], []), "three": Held([], [])}

    async def holding(_account: int, _mailbox: int, uids: Sequence[int], needle: str, *, header: bool) -> Held:
        asked.append((list(uids), needle, header))
        held = answers[needle]
        return Held([uid for uid in held.surely if uid in uids], [uid for uid in held.perhaps if uid in uids])

    async def counted(
        account: int, mailbox: int, uids: Sequence[int], sizes: Sequence[int] | None = None
    ) -> list[bytes | None]:
        read.extend(uids)
        return await contents(account, mailbox, uids, sizes)

    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(mail, "holding", holding)
    monkeypatch.setattr(mail, "contents", counted)
    assert await found(client, "BODY two") == [2, 3]
    assert asked == [([2, 3, 4], "two", False)]
    assert await found(client, "NOT TEXT two") == [1]
    assert await found(client, "TEXT three") == []
    assert asked[2] == ([2, 3, 4], "three", True)
    assert read == []
    assert await found(client, "BODY one BODY two") == [2]
    assert read == [4]
    monkeypatch.setattr(program, "BATCH_WORDS", 1)
    asked.clear()
    assert await found(client, "BODY one BODY two") == [2]
    assert [uids for uids, *_ in asked] == [[2], [2], [3], [3], [4], [4]]
    assert read == [4, 4]
    monkeypatch.setattr(program, "FEW", 3)
    assert await found(client, "BODY two") == []
    assert read == [4, 4, 2, 3, 4]
