"""Summaries that older versions of Pillarbox wrote answer FETCH with the same octets as today's."""

from pathlib import Path

import apsw
import msgspec
import pytest
from tests.corpus.generator import messages
from tests.imap.client import Client, Server

from pillarbox.mail.kept_fields import NAMES, choose_each
from pillarbox.mail.summary import summarise
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, summaries
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.spool import Spool

MAIL = [
    b"SUBJECT: a\r\n b\r\nX-No: c\r\nfrom : d\r\nsubject: again\r\nDate: x\r\n\r\n",
    b"From: a\r\nNo field\r\nTo: b,\r\n\tc\0d\r\nReceived: x\r\nDate: y\r\n",
    b"\r\nbody",
    b"",
    b"From: long\r\nTo: %b\r\nSubject: last\r\n\r\n" % (b"x" * 70_000),
    b"Subject: many\r\nFrom: f\r\n" * 200 + b"\r\n",
    *messages(7, 100, sender="a@b.example", recipient="c@d.example"),
]

ITEMS = [
    "UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (From Date Subject)]",
    "BODY.PEEK[HEADER.FIELDS (TO)]<3.9> BODY.PEEK[HEADER.FIELDS (subject)] PREVIEW",
    "BODY.PEEK[HEADER.FIELDS (Organization)] BODY.PEEK[HEADER.FIELDS.NOT (To From)]",
]


def version_1(packed: bytes) -> bytes:
    """A summary as it was written when fields had no table."""
    summary = summaries.unpack(packed)
    return b"\1" + summaries.pack(msgspec.structs.replace(summary, kept=summary.fields))[1:]


@pytest.mark.parametrize("octets", MAIL[:9], ids=len)
def test_version_1_is_read(octets: bytes) -> None:
    summary = summarise(octets)
    packed = summaries.pack(summary)
    (new,), (old,) = summaries.unpack_listed([packed]), summaries.unpack_listed([version_1(packed)])
    read = summaries.unpack(version_1(packed))
    assert (*old[:2], old[3]) == (*new[:2], new[3])
    assert read.kept == old[2]
    assert read.fields == summary.fields
    assert msgspec.structs.replace(read, kept=summary.kept) == summary
    for names in (frozenset(NAMES[:3]), frozenset(NAMES[3:9]), frozenset(NAMES), frozenset[bytes]()):
        assert choose_each([old[2]], names) == choose_each([new[2]], names)


async def _answers(client: Client) -> list[bytes]:
    await client.say("EXAMINE INBOX")
    numbers = ["1:*", "1:7", "2", "5,6"]  # by many rows at once, by few, alone
    return [await client.send(f"a FETCH {which} ({each})\r\n".encode()) for each in ITEMS for which in numbers]


@pytest.mark.parametrize("change", [version_1, lambda packed: b"\3" + packed[1:]], ids=["older", "newer"])
@pytest.mark.parametrize("which", ["", " WHERE id % 3 = 0"], ids=["all", "some"])
async def test_answers_are_the_same(tmp_path: Path, which: str, change: object) -> None:
    """Of a newer version's summaries as well: they are worked out of the messages."""
    store = await EmbeddedStore.open(tmp_path)
    server = await Server.start(store)
    await store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(each)) for each in MAIL])
    expected = await _answers(await server.client())
    assert expected[0].count(b" FETCH (") == len(MAIL)
    await store.close()
    index = apsw.Connection(str(tmp_path / INDEX_FILE))
    index.create_scalar_function("changed", change)  # type: ignore[arg-type]
    index.execute("UPDATE blobs SET summary = changed(summary)" + which)
    index.close()
    again = await EmbeddedStore.open(tmp_path)
    assert await _answers(await Server(again, server.account).client()) == expected
    await again.close()
