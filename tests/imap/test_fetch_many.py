"""FETCH of many messages answers for each what it answers for that one alone."""

import re

import pytest
from tests.imap.client import Server
from tests.imap.test_fetch import MESSAGE, PLAIN, fetched, selecting

from pillarbox.mail.header import FIELD, header_end


@pytest.mark.parametrize("command", ["SELECT INBOX", "EXAMINE INBOX"])
@pytest.mark.parametrize(
    "items",
    [
        "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (Subject From X-Mailer)]",
        "BODY.PEEK[HEADER.FIELDS (Subject)]<2.7> UID BODY.PEEK[HEADER.FIELDS (From)]",
        "BODY.PEEK[HEADER.FIELDS (Subject)]<2.7> EMAILID BODY",
        "UID BODY[HEADER.FIELDS (Subject)] FLAGS",
        "UID BODY.PEEK[] BODY.PEEK[TEXT]<1.5>",
    ],
)
async def test_many_at_once_as_one_by_one(server: Server, items: str, command: str) -> None:
    odd = b"Subject: 100 %b %d\0 %%\r\nFrom: a", b"\r\n", b"", b"X-Own: 1\r\n\r\n%s"
    client = await selecting(server, MESSAGE, *odd, PLAIN, command=command)
    alone = [await fetched(client, items, number) for number in range(1, 7)]
    together = await client.send(f"a FETCH 1:* ({items})\r\n".encode())
    expected = b"".join(b"* %d FETCH (%b)\r\n" % each for each in enumerate(alone, 1))
    assert together == expected + b"a OK FETCH completed\r\n"


@pytest.mark.parametrize("names", ["Subject", "FROM to", "date Subject From", "Message-ID References In-Reply-To"])
async def test_fields_are_the_same_kept_or_read(server: Server, names: str) -> None:
    """X-Own is not kept: with it among the names, the message itself is read. And what one of FIELDS and FIELDS.NOT has, the
    other lacks."""
    odd = (
        b"SUBJECT: a\r\n b\r\nTo : c\r\nX: d\r\nfrom:\r\n e\r\nsubject:f\r\n Date: g\r\n\r\nTo: h",
        b"From: a\r\n",
        b"\r\n",
        b"",
    )
    header = [found[0] for found in FIELD.finditer(odd[0], 0, header_end(odd[0]))]
    client = await selecting(server, *odd, MESSAGE, PLAIN)

    async def chosen(section: str) -> list[bytes]:
        answer = await client.send(f"a FETCH 1:* (BODY.PEEK[{section}])\r\n".encode())
        return re.findall(rb"\)\] \{\d+\}\r\n(.*?)\)\r\n(?=\*|a OK)", answer, re.DOTALL)

    kept = await chosen(f"HEADER.FIELDS ({names})")
    assert len(kept) == 6
    assert kept == await chosen(f"HEADER.FIELDS ({names} X-None)")
    others = await chosen(f"HEADER.FIELDS.NOT ({names})")
    wanted = names.lower().encode().split()
    assert (
        kept[0] == b"".join(field for field in header if field.partition(b":")[0].strip().lower() in wanted) + b"\r\n"
    )
    assert sorted(FIELD.findall(kept[0] + others[0])) == sorted(FIELD.findall(b"".join(header)))
