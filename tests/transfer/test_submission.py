"""Mail from our own accounts."""

from time import process_time
from typing import Any

import pytest
from tests.transfer.house import HASHES, NOW, TLS, a_client, a_store, messages, queue_ids, send

from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Refused
from pillarbox.sasl.api import Identity
from pillarbox.store.api import Alias
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer.completion import complete
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.submission import Submission

POLICY = Policy(hostname="mail.example.test")
ALICE = "alice@example.test"
MESSAGE = b"From: Alice <alice@example.test>\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n"


async def submission(policy: Policy = POLICY, **more: Any) -> tuple[MemoryStore, Submission]:
    store = await a_store()
    return store, Submission(store, policy, clock=lambda: NOW, queue_id=queue_ids(), **more)


async def identity(store: MemoryStore, address: str = ALICE) -> Identity:
    account = await store.directory.account(address)
    assert account is not None
    return Identity(account.id, address)


async def submit(store: MemoryStore, service: Submission, octets: bytes = MESSAGE, **kwargs: Any) -> None:
    client = a_client(await identity(store, kwargs.pop("by", ALICE)), tls=TLS)
    client.protocol = "ESMTPSA"
    sender = kwargs.pop("sender", ALICE)
    await send(service, client, sender, kwargs.pop("to", ["bob@example.test"]), octets, **kwargs)


async def test_everything_goes_in_one_step() -> None:
    store, service = await submission()
    await submit(store, service, to=["bob@example.test", "carol@far.example", "dave@far.example"])
    expected = (
        b"Received: by mail.example.test with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid q1;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n" + MESSAGE
    )
    assert await messages(store, "bob@example.test") == [expected]
    assert await messages(store, ALICE, "Sent") == [expected]
    assert await messages(store, ALICE) == []
    (entry,) = await store.queue.entries()
    assert (entry.id, entry.reverse_path, [r.address for r in entry.recipients]) == (
        "q1",
        ALICE,
        ["carol@far.example", "dave@far.example"],
    )
    assert await store.queue.content("q1") == expected


async def test_sent_copy_is_seen_and_marked() -> None:
    store, service = await submission()
    await submit(store, service)
    account = (await identity(store)).account
    view = await store.mail.open(account, "Sent")
    (record,) = await store.mail.records(account, view.mailbox, list(view.uids))
    assert record is not None
    assert record.filed_by_server
    assert view.flags_of(record.uid) == {"\\Seen"}


async def test_sent_copy_can_be_switched_off() -> None:
    store, service = await submission(Policy(hostname="mail.example.test", save_sent=False))
    await submit(store, service)
    assert await messages(store, ALICE, "Sent") == []


async def test_to_oneself_and_sent() -> None:
    store, service = await submission()
    await submit(store, service, to=[ALICE, "alice+tag@example.test", "team@example.test"])
    assert len(await messages(store, ALICE)) == 1
    assert len(await messages(store, ALICE, "Sent")) == 1
    assert len(await messages(store, "bob@example.test")) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            b"From: alice@example.test\r\n",
            b"Message-ID: <q1@mail.example.test>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
        ),
        (b"From: alice@example.test\r\nDate: d\r\n", b"Message-ID: <q1@mail.example.test>\r\n"),
        (b"Message-Id: <m>\r\nFrom: alice@example.test\r\n", b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"),
    ],
)
async def test_missing_fields_are_added(header: bytes, expected: bytes) -> None:
    store, service = await submission()
    await submit(store, service, header + b"\r\nbody\r\n")
    (octets,) = await messages(store, "bob@example.test")
    assert octets.endswith(b"+0000\r\n" + expected + header + b"\r\nbody\r\n")


async def test_blind_copies_are_removed() -> None:
    store, service = await submission()
    octets = MESSAGE.replace(
        b"\r\n\r\n", b"\r\nBCC : carol@far.example,\r\n\tdave@far.example\r\nX: y\r\n\r\nBcc: stays\r\n"
    )
    await submit(store, service, octets)
    (got,) = await messages(store, "bob@example.test")
    assert b"carol" not in got
    assert b"dave" not in got
    assert got.endswith(b"X: y\r\n\r\nBcc: stays\r\nbody\r\n")


async def test_blind_copies_stay_in_the_authors_copy_alone() -> None:
    store, service = await submission()
    blind = b"Bcc: bob@example.test,\r\n\tcarol@far.example\r\nResent-Bcc: dave@far.example\r\n"
    octets = MESSAGE.replace(b"Date:", blind + b"Return-Path: <x@x>\r\nDate:")
    await submit(store, service, octets, to=[ALICE, "bob@example.test", "carol@far.example"])
    got = [*(await messages(store, ALICE)), *(await messages(store, "bob@example.test"))]
    got.append(await store.queue.content("q1") or b"")
    assert len(got) == 3
    for visible in got:
        assert b"bcc" not in visible.lower()
        assert visible.endswith(MESSAGE)
    (sent,) = await messages(store, ALICE, "Sent")
    assert sent.endswith(MESSAGE.replace(b"Date:", blind + b"Date:"))
    assert sent.startswith(got[0].removesuffix(MESSAGE))  # the same trace


@pytest.mark.parametrize("address", [ALICE, "ALICE@Example.TEST", "alice+shop@example.test", "team@example.test"])
async def test_own_addresses(address: str) -> None:
    store, service = await submission()
    await submit(store, service, MESSAGE.replace(b"alice@example.test", address.encode()), sender=address)


async def test_a_catch_all_owns_the_domain() -> None:
    store, service = await submission()
    octets = MESSAGE.replace(b"alice@example.test", b"any@other.test")
    await submit(store, service, octets, sender="other@other.test", by="all@other.test")


async def test_null_reverse_path_is_for_notifications() -> None:
    store, service = await submission()
    await submit(store, service, sender="")
    assert (await messages(store, "bob@example.test"))[0].startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize("line", [b"a:\r\n", b"bcc:\r\n", b"from:\r\n", b"sender:\r\n", b"received:\r\n"])
async def test_the_largest_header_keeps_nobody_waiting(line: bytes) -> None:
    store, service = await submission()
    client = a_client(await identity(store), tls=TLS)
    header = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n" + line * (255 * 1024 // len(line))
    waits = []
    for _ in range(5):
        incoming = service.open_body(client, Envelope(None, {}))
        incoming.write(header + b"\r\n")
        start = process_time()
        for check in service.checks:
            await check.message(client, Envelope(None, {}), incoming)
        complete(incoming.header, message_id="1@x", now=0)
        waits.append(process_time() - start)
    assert min(waits) < 0.1  # on the event loop; some 0.03


@pytest.mark.parametrize(
    ("sender", "header", "code", "enhanced"),
    [
        ("bob@example.test", b"From: alice@example.test\r\n", 553, "5.7.1"),
        ("x@far.example", b"From: alice@example.test\r\n", 553, "5.7.1"),
        ("nobody@example.test", b"From: alice@example.test\r\n", 553, "5.7.1"),
        (ALICE, b"From: bob@example.test\r\n", 550, "5.7.1"),
        (ALICE, b"From: alice@example.test, bob@example.test\r\n", 550, "5.7.1"),
        (ALICE, b"From: alice@example.test\r\nSender: bob@example.test\r\n", 550, "5.7.1"),
        (ALICE, b"From: alice@example.test\r\nFrom: bob@example.test\r\n", 554, "5.6.0"),
        (ALICE, b"From: alice@example.test\r\nfrom : alice@example.test\r\n", 554, "5.6.0"),
        (ALICE, b'From: "alice@example.test" <bob@example.test>\r\n', 550, "5.7.1"),
        (ALICE, b"From: alice@example.test <bob@example.test>\r\n", 550, "5.7.1"),
        (ALICE, b"From: alice\r\n", 550, "5.7.1"),
        (ALICE, b"From: undisclosed:;\r\n", 554, "5.6.0"),
        (ALICE, b"Subject: none\r\n", 554, "5.6.0"),
        (ALICE, b"From: " + b"alice@example.test,\r\n " * 100 + b"alice@example.test\r\n", 554, "5.6.0"),
        (
            ALICE,
            b"From: alice@example.test\r\nSender: alice@example.test\r\nSender: bob@example.test\r\n",
            554,
            "5.6.0",
        ),
    ],
)
async def test_foreign_authors(sender: str, header: bytes, code: int, enhanced: str) -> None:
    store, service = await submission()
    with pytest.raises(Refused) as refused:
        await submit(store, service, header + b"\r\nbody\r\n", sender=sender)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, enhanced)
    assert await messages(store, "bob@example.test") == []


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("nobody@example.test", 550, "5.1.1"),
        ("a%b@far.example", 550, "5.1.3"),
        ("b!a@far.example", 550, "5.1.3"),
        ("root@[127.0.0.1]", 550, "5.1.2"),
    ],
)
async def test_refused_recipients(recipient: str, code: int, enhanced: str) -> None:
    store, service = await submission()
    with pytest.raises(Refused) as refused:
        await submit(store, service, to=[recipient])
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, enhanced)


async def test_mail_for_elsewhere_can_stay_here() -> None:
    store, service = await submission(Policy(hostname="mail.example.test", relay_to="world@example.test"))
    await submit(store, service, to=["carol@far.example", "dave@far.example", "bob@example.test"])
    assert len(await messages(store, "world@example.test")) == 1
    assert len(await messages(store, "bob@example.test")) == 1
    assert await store.queue.entries() == []
    with pytest.raises(Refused):  # and does not make world the author of the rest of the world
        await submit(store, service, sender="carol@far.example", by="world@example.test")


async def test_limits_slide() -> None:
    now = [0.0]
    policy = Policy(hostname="mail.example.test", recipients_per_hour=3, recipients_per_day=4)
    store, service = await submission(policy, monotonic=lambda: now[0])
    await submit(store, service, to=["bob@example.test", "c@far.example"])
    now[0] = 600.0
    with pytest.raises(Refused) as refused:
        await submit(store, service, to=["bob@example.test", "c@far.example"])
    assert refused.value.reply.code == 450
    assert "try again in 50 min" in refused.value.reply.text
    await submit(store, service)
    now[0] = 4000.0
    await submit(store, service)
    with pytest.raises(Refused) as refused:
        await submit(store, service)
    assert "4 recipients within a day" in refused.value.reply.text
    await submit(store, service, MESSAGE.replace(b"alice", b"bob"), sender="bob@example.test", by="bob@example.test")
    now[0] = 86401.0
    await submit(store, service)


async def test_limits_hold_for_the_first_message_too() -> None:
    store, service = await submission(Policy(hostname="mail.example.test", recipients_per_hour=2))
    with pytest.raises(Refused) as refused:
        await submit(store, service, to=["a@far.example", "b@far.example", "c@far.example"])
    assert str(refused.value.reply).startswith("450 4.7.1 The limit is 2 recipients within an hour")


async def test_no_limits() -> None:
    store, service = await submission(Policy(recipients_per_hour=0, recipients_per_day=0))
    await submit(store, service, to=[f"u{number}@far.example" for number in range(2000)])


async def test_eight_bit_bodies_are_declared_to_the_next_hop() -> None:
    store, service = await submission()
    await submit(store, service, MESSAGE + "é\r\n".encode(), to=["c@far.example"])
    await submit(store, service, MESSAGE, to=["ü@far.example"], SMTPUTF8="")
    assert [entry.parameters for entry in await store.queue.entries()] == [{"BODY": "8BITMIME"}, {"SMTPUTF8": ""}]


async def test_sent_is_found_by_its_special_use() -> None:
    store, service = await submission()
    account = (await identity(store)).account
    await store.mail.rename(account, "Sent", "Gesendet")
    await submit(store, service)
    assert len(await messages(store, ALICE, "Gesendet")) == 1


async def test_an_alias_to_elsewhere_is_not_ones_own() -> None:
    store, service = await submission()
    await store.directory.add_alias(Alias("away@example.test", ("alice@far.example",)))
    with pytest.raises(Refused):
        await submit(store, service, sender="away@example.test")


async def test_a_full_account_can_still_send() -> None:
    store, service = await submission()
    await store.directory.add_account("full@example.test", HASHES, quota=10)
    octets = MESSAGE.replace(b"alice@example.test", b"full@example.test")
    await submit(store, service, octets, sender="full@example.test", by="full@example.test")
    assert len(await messages(store, "bob@example.test")) == 1
    assert await messages(store, "full@example.test", "Sent") == []


async def test_a_closed_account_sends_no_more() -> None:
    store, service = await submission()
    await store.directory.set_disabled((await identity(store)).account, disabled=True)
    with pytest.raises(Refused) as refused:
        await submit(store, service, sender="")
    assert str(refused.value.reply) == "550 5.7.1 Your account is closed"
