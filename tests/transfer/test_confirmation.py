"""What authors who asked for it hear about recipients here, and what the next hop is told about the others."""

import pytest
from tests.transfer.house import NOW, TLS, a_client, a_store, messages, queue_ids

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.queue.bounce import Bounces
from pillarbox.sasl.api import Identity
from pillarbox.smtp.service import Client
from pillarbox.store.api import Alias, StoreUnavailable
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.submission import Submission

ALICE = "alice@example.test"
MESSAGE = b"From: Alice <alice@example.test>\r\nDate: x\r\nMessage-ID: <1@x>\r\nSubject: lunch\r\n\r\nAt noon?\r\n"


async def submit(
    store: MemoryStore, recipients: dict[str, dict[str, str]], sender: str = ALICE, **parameters: str
) -> Client:
    service = Submission(store, Policy(hostname="mail.example.test"), clock=lambda: NOW, queue_id=queue_ids())
    account = await store.directory.account(ALICE)
    assert account is not None
    events: list[str] = []
    client = a_client(Identity(account.id, ALICE), tls=TLS, emit=lambda event, /, **_facts: events.append(event))
    envelope = Envelope(Address.parse(sender) if sender else None, parameters)
    await service.check_sender(client, envelope)
    for address, given in recipients.items():
        path = ForwardPath(Address.parse(address), given)
        await service.check_recipient(client, envelope, path)
        envelope.forward_paths.append(path)
    body = service.open_body(client, envelope)
    body.write(MESSAGE)
    reply = await service.accept(client, envelope, body)
    assert reply.is_success
    client.helo = " ".join(events)
    return client


SUCCESS = {"NOTIFY": "SUCCESS,FAILURE"}


async def test_delivered_here() -> None:
    store = await a_store()
    await submit(store, {"bob@example.test": SUCCESS | {"ORCPT": "rfc822;bob@example.test"}}, ENVID="e1", RET="FULL")
    (note,) = await messages(store, ALICE)
    for words in (
        b"Return-Path: <>\r\n",
        b"Original-Envelope-Id: e1\r\n",
        b"Original-Recipient: rfc822;bob@example.test\r\nFinal-Recipient: rfc822; bob@example.test\r\n",
        b"Action: delivered\r\nStatus: 2.0.0\r\n",
        b"its queue id is q1",
        b"In-Reply-To: <1@x>\r\n",
    ):
        assert words in note
    assert b"At noon?" not in note
    assert len(await messages(store, "bob@example.test")) == 1


async def test_only_who_asked_is_told_of() -> None:
    store = await a_store()
    await submit(store, {"bob@example.test": {"NOTIFY": "NEVER"}, "world@example.test": SUCCESS})
    (note,) = await messages(store, ALICE)
    assert b"world@example.test" in note
    assert b"bob@" not in note
    await submit(store, {"bob@example.test": {}, "world@example.test": {"NOTIFY": "FAILURE,DELAY"}})
    assert len(await messages(store, ALICE)) == 1


async def test_nobody_is_told_for_the_null_path() -> None:
    store = await a_store()
    await submit(store, {"bob@example.test": SUCCESS}, sender="")
    assert await messages(store, ALICE) == []


async def test_the_next_hop_hears_what_the_sender_wants() -> None:
    store = await a_store()
    given = {"NOTIFY": "NEVER", "ORCPT": "rfc822;carol@far.example"}
    await submit(store, {"carol@far.example": given, "dave@far.example": {}}, RET="HDRS", ENVID="e1")
    (entry,) = await store.queue.entries()
    assert {r.address: r.parameters for r in entry.recipients} == {"carol@far.example": given, "dave@far.example": {}}
    assert {name: entry.parameters[name] for name in ("RET", "ENVID")} == {"RET": "HDRS", "ENVID": "e1"}
    assert await messages(store, ALICE) == []  # the queue will tell


async def test_an_alias_for_one_elsewhere_is_passed_on() -> None:
    store = await a_store()
    await store.directory.add_alias(Alias("carol@example.test", ("carol@far.example",)))
    await submit(store, {"carol@example.test": SUCCESS | {"ORCPT": "rfc822;carol@example.test"}})
    (entry,) = await store.queue.entries()
    (recipient,) = entry.recipients
    assert recipient.address == "carol@far.example"
    assert recipient.parameters == SUCCESS | {"ORCPT": "rfc822;carol@example.test"}
    assert await messages(store, ALICE) == []


async def test_an_alias_for_several_is_expanded() -> None:
    store = await a_store()
    await submit(store, {"sales@example.test": {"NOTIFY": "SUCCESS"}})
    note = (await messages(store, ALICE))[-1]
    assert b"Final-Recipient: rfc822; sales@example.test\r\nAction: expanded\r\n" in note
    assert b"far.example" not in note  # who is behind an alias is not the sender's business
    (entry,) = await store.queue.entries()
    assert [r.parameters for r in entry.recipients] == [{"NOTIFY": "NEVER"}]


async def test_a_fault_in_making_it_does_not_refuse_what_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = await a_store()

    async def broken(*_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Bounces, "make", broken)
    client = await submit(store, {"bob@example.test": SUCCESS})
    assert "confirmation_dropped" in client.helo
    assert len(await messages(store, "bob@example.test")) == 1


async def test_what_cannot_be_confirmed_is_accepted_all_the_same() -> None:
    store = await a_store()
    accept, calls = store.accept, 0

    async def full_disk(*args: object, **more: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreUnavailable("no space")
        await accept(*args, **more)  # type: ignore[arg-type]

    store.accept = full_disk  # type: ignore[method-assign]
    client = await submit(store, {"bob@example.test": SUCCESS})
    assert calls == 2
    assert "confirmation_dropped" in client.helo
    assert len(await messages(store, "bob@example.test")) == 1
    assert await messages(store, ALICE) == []
