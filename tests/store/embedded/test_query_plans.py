"""What queries on the event loop go through: never a whole mailbox for one message of it."""

from pathlib import Path

import pytest

from pillarbox.store.embedded import EmbeddedStore, records, schema


@pytest.mark.parametrize(
    ("sql", "by"),
    [
        (records.BY_MESSAGE_ID, "messages_by_message_id (mailbox=? AND message_id_hash=?)"),
        (records.PLACES, "PRIMARY KEY (mailbox=? AND uid>? AND uid<?)"),
    ],
)
async def test_one_message_does_not_cost_a_whole_mailbox(tmp_path: Path, sql: str, by: str) -> None:
    await (await EmbeddedStore.open(tmp_path)).close()
    index = schema.connect(tmp_path, writer=False)
    messages, *others = [row[3] for row in index.execute("EXPLAIN QUERY PLAN " + sql, (1,) * sql.count("?"))]
    index.close()
    assert messages.endswith(by)
    assert all("SEARCH b USING INTEGER PRIMARY KEY" in step for step in others)
