"""Bob tries every POP3 command with the numbers and unique-ids of alice's messages."""

from pathlib import Path

import pytest
from tests.gates.neighbours import ALICE, BOB, MARK, Neighbours, neighbours
from tests.pop3.client import Pop3Client
from tests.sasl.credentials import FakeCredentials
from tests.store.conftest import HOMES

from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.pop3.registry import TABLE
from pillarbox.wire.engine import Link, TlsInfo

NUMBERS = (
    "0",
    "2",
    "3",
    "4",
    "-1",
    "4294967297",
    "18446744073709551617",
    "1.0",
    "0x2",
    "٢",
    "{id}",
    "{mailbox}",
    "alice",
    "*",
)
"""Numbers that alice has and bob has not, and what is taken for one by careless code."""

ROWS: dict[str, tuple[str, ...]] = {
    "RETR": tuple(f"RETR {number}" for number in NUMBERS),
    "TOP": tuple(f"TOP {number} 10" for number in NUMBERS),
    "DELE": tuple(f"DELE {number}" for number in NUMBERS),
    "LIST": ("LIST", *(f"LIST {number}" for number in NUMBERS)),
    "UIDL": ("UIDL", *(f"UIDL {number}" for number in NUMBERS)),
    "STAT": ("STAT",),
    "USER": (f"USER {ALICE}",),
    "PASS": ("PASS hunter2",),
    "AUTH": ("AUTH PLAIN",),
}
OTHERS = {"CAPA", "LANG", "NOOP", "QUIT", "RSET", "STLS", "UTF8"}
"""They name nothing."""


async def bob_in(world: Neighbours) -> Pop3Client:
    credentials = FakeCredentials({ALICE: "open sesame", BOB: "hunter2"})
    link = Link(id="c", tls=TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    client = Pop3Client(Pop3Engine(link, world.store, credentials, locks=MaildropLocks(), nonce=lambda: "nonce"))
    assert (await client.send(f"USER {BOB}\r\nPASS hunter2\r\n".encode())).count(b"+OK") == 2
    return client


def test_each_command_has_a_row() -> None:
    assert set(ROWS) | OTHERS == {entry.name for entry in TABLE.values()}


@pytest.mark.parametrize("home", sorted(HOMES))
@pytest.mark.parametrize("command", ROWS)
async def test_nothing_of_hers_is_shown_or_deleted(home: str, command: str, tmp_path: Path) -> None:
    async with neighbours(home, tmp_path) as world:
        for row in ROWS[command]:
            for email_id, mailbox in zip(world.email_ids, world.ids * 3, strict=True):
                client = await bob_in(world)
                said = await client.say(row.format(id=email_id, mailbox=mailbox))
                assert MARK not in said
                assert not any(i in said for i in world.email_ids)
                if " " in row:
                    assert said.startswith("-ERR"), row
                elif command == "STAT":
                    assert said.startswith("+OK 1 ")
                await client.say("QUIT")
