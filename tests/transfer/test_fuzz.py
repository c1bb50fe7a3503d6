"""Whatever a message looks like: it is delivered octet for octet, or refused with a reply."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transfer.house import a_client, a_store, messages, send

from pillarbox.mail.status import Refused
from pillarbox.sasl.api import Identity
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission

PIECES = st.sampled_from(
    [
        b"From:",
        b"from :",
        b"FROM: ",
        b"Sender: ",
        b"Bcc: ",
        b"Date: ",
        b"Received: x",
        b"Authentication-Results: ",
        b" ",
        b"\t",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"alice@example.test",
        b"bob@example.test",
        b"<",
        b">",
        b'"',
        b"\\",
        b"(",
        b")",
        b",",
        b";",
        b":",
        b"=?utf-8?q?x?=",
        b"localhost",
        b"\x00",
        b"\xff",
        "ü@example.test".encode(),
        b"group: a@b;",
        b"@route:",
        b"Message-ID: <x>",
    ]
)
MESSAGES = st.lists(st.one_of(PIECES, PIECES, st.binary(max_size=8)), max_size=40).map(b"".join)


@given(octets=MESSAGES)
@settings(max_examples=200, deadline=None)
async def test_reception_keeps_every_octet(octets: bytes) -> None:
    store = await a_store()
    await send(
        Reception(store, Policy(hostname="mx.example.test")), a_client(), "x@far.example", ["bob@example.test"], octets
    )
    (got,) = await messages(store, "bob@example.test")
    assert got.split(b" +0000\r\n", 1)[1] == octets


@given(octets=MESSAGES, to_far=st.booleans())
@settings(max_examples=200, deadline=None)
async def test_submission_takes_only_its_own_authors(octets: bytes, to_far: bool) -> None:
    store = await a_store()
    alice = await store.directory.account("alice@example.test")
    assert alice is not None
    recipients = ["bob@example.test"] + ["carol@far.example"] * to_far
    service = Submission(store, Policy(hostname="mail.example.test"))
    with suppress(Refused):
        await send(service, a_client(Identity(alice.id, "")), "alice@example.test", recipients, b"From: " + octets)
        (got,) = await messages(store, "bob@example.test")
        header = got.split(b"\r\n\r\n", 1)[0].lower()
        assert header.count(b"\r\nfrom:") + header.count(b"\r\nfrom :") == 1
        assert b"\r\nbcc:" not in header
