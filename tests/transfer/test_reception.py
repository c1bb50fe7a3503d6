"""Mail from other servers."""

from typing import Any

import pytest
from tests.transfer.house import HASHES, NOW, TLS, a_client, a_store, messages, queue_ids, send

from pillarbox.mail.status import Refused
from pillarbox.store.api import OverQuota, StoreUnavailable
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.reception import Reception

POLICY = Policy(hostname="mail.example.test", postmaster="bob@example.test")
SENDER = "x@far.example"
MESSAGE = b"From: x@far.example\r\nSubject: hi\r\n\r\nbody\r\n"


async def reception(policy: Policy = POLICY, **more: Any) -> tuple[MemoryStore, Reception]:
    store = await a_store()
    return store, Reception(store, policy, clock=lambda: NOW, queue_id=queue_ids(), **more)


async def refusal(
    service: Reception, recipients: list[str], octets: bytes = MESSAGE, **parameters: str
) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        await send(service, a_client(peer="127.0.0.1"), SENDER, recipients, octets, **parameters)
    return refused.value.reply.code, refused.value.reply.enhanced


async def test_delivers_with_trace() -> None:
    store, service = await reception()
    reply = await send(service, a_client(tls=TLS), SENDER, ["alice@example.test"], MESSAGE)
    assert str(reply) == "250 2.0.0 Accepted as q1"
    assert await messages(store, "alice@example.test") == [
        b"Return-Path: <x@far.example>\r\n"
        b"Received: from far.example ([192.0.2.7])\r\n"
        b"\tby mail.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid q1 for <alice@example.test>;\r\n"
        b"\tTue, 14 Nov 2023 22:13:20 +0000\r\n" + MESSAGE
    ]


async def test_several_recipients_are_not_told_of_each_other() -> None:
    store, service = await reception()
    await send(service, a_client(), SENDER, ["alice@example.test", "bob@example.test"], MESSAGE)
    (one,) = await messages(store, "alice@example.test")
    (other,) = await messages(store, "bob@example.test")
    assert one == other
    assert b"bob" not in one.removesuffix(MESSAGE)


@pytest.mark.parametrize(
    ("recipient", "owners"),
    [
        ("ALICE@Example.Test", ["alice"]),
        ("alice+shop@example.test", ["alice"]),
        ("team@example.test", ["alice", "bob"]),
        ("team+x@example.test", ["alice", "bob"]),
        ("pool@example.test", ["bob"]),
        ("loop@example.test", ["bob"]),
        ("postmaster@example.test", ["bob"]),
        ("abuse@example.test", ["bob"]),
        ("POSTMASTER@mail.example.test", ["bob"]),
    ],
)
async def test_who_gets_it(recipient: str, owners: list[str]) -> None:
    store, service = await reception()
    await send(service, a_client(), SENDER, [recipient], MESSAGE)
    got = [name for name in ("alice", "bob", "world") if await messages(store, f"{name}@example.test")]
    assert got == owners


async def test_catch_all_takes_the_rest() -> None:
    store, service = await reception()
    await send(service, a_client(), SENDER, ["anything%far.example@other.test"], MESSAGE)
    assert len(await messages(store, "all@other.test")) == 1


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("nobody@example.test", (550, "5.1.1")),
        ("+alice@example.test", (550, "5.1.1")),
        ("dangling@example.test", (550, "5.1.1")),
        ("carol@far.example", (550, "5.7.1")),
        ("alice@[127.0.0.1]", (550, "5.7.1")),
        ("alice%example.test@far.example", (550, "5.7.1")),
        ("carol%far.example@example.test", (550, "5.1.1")),
        ("far.example!carol@example.test", (550, "5.1.1")),
        ("alice@mail.example.test", (550, "5.7.1")),
    ],
)
async def test_refuses_even_loopback(recipient: str, expected: tuple[int, str]) -> None:
    _, service = await reception()
    assert await refusal(service, [recipient]) == expected


async def test_demo_mode_is_no_relay_either() -> None:
    _, service = await reception(Policy(hostname="mail.example.test", relay_to="world@example.test"))
    assert await refusal(service, ["carol@far.example"]) == (550, "5.7.1")


async def test_without_a_postmaster_the_oldest_account_is_told() -> None:
    for postmaster in ("", "gone@example.test"):
        store, service = await reception(Policy(hostname="mail.example.test", postmaster=postmaster))
        await send(service, a_client(), SENDER, ["postmaster@example.test", "abuse@example.test"], MESSAGE)
        assert len(await messages(store, "alice@example.test")) == 1


async def test_aliases_to_elsewhere_are_relayed_with_the_sender_as_it_was() -> None:
    store, service = await reception()
    await send(service, a_client(), SENDER, ["sales@example.test"], MESSAGE, BODY="8BITMIME", SIZE="20")
    assert len(await messages(store, "alice@example.test")) == 1
    (entry,) = await store.queue.entries()
    assert (entry.reverse_path, entry.account, entry.parameters) == (SENDER, 0, {"BODY": "8BITMIME"})
    assert [r.address for r in entry.recipients] == ["carol@far.example"]
    content = await store.queue.content(entry.id)
    assert content is not None
    assert content.startswith(b"Received: from far.example")


async def test_disabled_accounts() -> None:
    store, service = await reception()
    alice = await store.directory.account("alice@example.test")
    assert alice is not None
    await store.directory.set_disabled(alice.id, disabled=True)
    assert await refusal(service, ["alice@example.test"]) == (550, "5.2.1")
    await send(service, a_client(), SENDER, ["team@example.test"], MESSAGE)
    assert await messages(store, "alice@example.test") == []
    assert len(await messages(store, "bob@example.test")) == 1


async def test_quota() -> None:
    store, service = await reception()
    await store.directory.add_account("small@example.test", HASHES, quota=1000)
    assert await refusal(service, ["small@example.test"], SIZE="2000") == (552, "5.2.2")
    assert await refusal(service, ["small@example.test"], MESSAGE + b"x" * 1000) == (452, "4.2.2")
    await send(service, a_client(), SENDER, ["small@example.test"], MESSAGE + b"x" * 600, SIZE="700")
    assert await refusal(service, ["small@example.test"], SIZE="500") == (452, "4.2.2")


async def test_a_full_mailbox_does_not_keep_the_others_from_their_mail() -> None:
    store, service = await reception()
    await store.directory.add_account("small@example.test", HASHES, quota=1000)
    large = MESSAGE + b"x" * 1000
    both = ["small@example.test", "alice@example.test"]
    assert await refusal(service, both, large) == (452, "4.2.2")  # the size was not declared, so nobody could know
    assert await messages(store, "alice@example.test") == []
    assert await refusal(service, both, large) == (552, "5.2.2")  # now at RCPT, for small alone
    await send(service, a_client(), SENDER, both[1:], large)
    assert len(await messages(store, "alice@example.test")) == 1
    await send(service, a_client(), SENDER, both, MESSAGE)  # it is not held against what fits


async def test_loops() -> None:
    _, service = await reception()
    assert await refusal(service, ["alice@example.test"], b"Received: x\r\n" * 51 + MESSAGE) == (554, "5.4.6")
    await send(service, a_client(), SENDER, ["alice@example.test"], b"received : x\r\n" * 50 + MESSAGE)
    await send(service, a_client(), SENDER, ["alice@example.test"], MESSAGE + b"Received: in the body\r\n" * 100)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no header at all\r\n",
        b"no header at all\r\n\r\nbody\r\n",
        b": no name\r\n\r\n",
        b" starts folded\r\nFrom: x\r\n\r\n",
        b"From: a\r\nFrom: b\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n----\r\n",
        b"Subject: \xff\xfe\x00\r\n\r\n\x00\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 200,
    ],
)
async def test_malformed_messages_are_delivered_as_they_are(octets: bytes) -> None:
    store, service = await reception()
    await send(service, a_client(), SENDER, ["alice@example.test"], octets)
    (got,) = await messages(store, "alice@example.test")
    assert got.endswith(b"22:13:20 +0000\r\n" + octets)


async def test_forged_results_of_ours_are_removed() -> None:
    store, service = await reception()
    forged = [
        b"Authentication-Results: mail.example.test; dkim=pass\r\n",
        b"authentication-results:\r\n\tMAIL.example.test 1; spf=pass\r\n\tsmtp.mailfrom=x\r\n",
        b"Authentication-Results: (a (b)) mail.example.test; dkim=pass\r\n",
        b'Authentication-Results: "mail.ex\\ample.test"; dkim=pass\r\n',
    ]
    others = [
        b"Authentication-Results: mx.far.example; dkim=pass\r\n",
        b"Authentication-Results: notmail.example.test; dkim=pass\r\n",
        b"X-Authentication-Results: mail.example.test; x\r\n",
    ]
    await send(service, a_client(), SENDER, ["alice@example.test"], b"".join(forged + others) + MESSAGE)
    (got,) = await messages(store, "alice@example.test")
    assert got.endswith(b"+0000\r\n" + b"".join(others) + MESSAGE)


async def test_what_the_peer_calls_itself_cannot_forge_trace() -> None:
    store, service = await reception()
    client = a_client(peer="2001:db8::7")
    client.helo = "x)(by=evil;"
    await send(service, client, SENDER, ["alice@example.test"], MESSAGE)
    (got,) = await messages(store, "alice@example.test")
    assert b"Received: from unknown ([IPv6:2001:db8::7])\r\n" in got


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OverQuota("full"), (452, "4.2.2")),
        (StoreUnavailable("no space"), (452, "4.3.1")),
        (OSError(28, "no space"), (452, "4.3.1")),
    ],
)
async def test_trouble_in_the_store_is_temporary(
    error: Exception, expected: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, service = await reception()

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(store, "accept", fail)
    assert await refusal(service, ["alice@example.test"]) == expected


async def test_trouble_with_look_ups_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    store, service = await reception()

    async def fail(*_: Any) -> None:
        raise StoreUnavailable("the disk does not answer")

    monkeypatch.setattr(store.directory, "is_local", fail)
    assert await refusal(service, ["alice@example.test"]) == (452, "4.3.1")


async def test_an_account_that_vanished_meanwhile() -> None:
    store, service = await reception()
    client, envelope_of = a_client(), service.accept

    async def accept(*args: Any) -> Any:
        alice = await store.directory.account("alice@example.test")
        assert alice is not None
        await store.directory.remove_account(alice.id)
        return await envelope_of(*args)

    service.accept = accept  # type: ignore[method-assign]
    with pytest.raises(Refused) as refused:
        await send(service, client, SENDER, ["alice@example.test"], MESSAGE)
    assert refused.value.reply.enhanced == "5.1.1"


async def test_what_happened_is_told() -> None:
    _, service = await reception()
    told: list[tuple[str, dict[str, Any]]] = []
    client = a_client(emit=lambda event, /, **facts: told.append((event, facts)))
    await send(service, client, SENDER, ["sales@example.test"], MESSAGE)
    ((event, facts),) = told
    assert event == "message_accepted"
    assert facts["queue_id"] == "q1"
    assert (facts["delivered"], facts["relayed"]) == (2, 1)
