"""FETCH of many messages answers for each what it answers for that one alone."""

import pytest
from tests.imap.client import Server
from tests.imap.test_fetch import MESSAGE, PLAIN, fetched, selecting


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
