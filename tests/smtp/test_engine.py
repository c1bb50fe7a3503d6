"""Dialogs with the engine: octets in, replies and accepted messages out."""

import pytest
from tests.smtp.dialog import same_in_every_cut

HELLO = b"EHLO client.example\r\n"
START = HELLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n"


async def test_a_message_goes_in() -> None:
    run = await same_in_every_cut(START + b"DATA\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n")
    assert run.codes == ["250", "250", "250", "354", "250", "221"]
    assert run.service.accepted == [
        ("a@b.example", ["alice@example.test"], b"Subject: x\r\n\r\n.dot\r\nend\r\n", "ESMTP")
    ]


@pytest.mark.parametrize(
    ("octets", "codes"),
    [
        (b"NOOP\r\n", ["250"]),
        (b"FROB\r\n", ["500"]),
        (b"MAIL FROM:<a@b>\r\n", ["503"]),
        (HELLO + b"RCPT TO:<a@b>\r\n", ["250", "503"]),
        (HELLO + b"DATA\r\n", ["250", "503"]),
        (HELLO + b"MAIL FROM:<>\r\nDATA\r\n", ["250", "250", "554"]),
    ],
)
async def test_order(octets: bytes, codes: list[str]) -> None:
    assert (await same_in_every_cut(octets)).codes == codes
