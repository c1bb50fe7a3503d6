"""Mail from other servers."""

import pytest
from tests.transfer.house import NOW, TLS, a_client, a_store, messages, queue_ids, send

from pillarbox.mail.status import Refused
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.reception import Reception

POLICY = Policy(hostname="mail.example.test", postmaster="bob@example.test")
MESSAGE = b"From: x@far.example\r\nSubject: hi\r\n\r\nbody\r\n"


async def reception(policy: Policy = POLICY):
    store = await a_store()
    return store, Reception(store, policy, clock=lambda: NOW, queue_id=queue_ids())


async def test_delivers_with_trace() -> None:
    store, service = await reception()
    reply = await send(service, a_client(tls=TLS), "x@far.example", ["alice@example.test"], MESSAGE)
    assert (reply.code, reply.enhanced) == (250, "2.0.0")
    assert await messages(store, "alice@example.test") == [
        b"Return-Path: <x@far.example>\r\n"
        b"Received: from far.example ([192.0.2.7])\r\n"
        b"\tby mail.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid q1 for <alice@example.test>;\r\n"
        b"\tTue, 14 Nov 2023 22:13:20 +0000\r\n" + MESSAGE
    ]


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("nobody@example.test", 550, "5.1.1"),
        ("dangling@example.test", 550, "5.1.1"),
        ("carol@far.example", 550, "5.7.1"),
        ("alice%example.test@far.example", 550, "5.7.1"),
        ("carol%far.example@example.test", 550, "5.1.1"),
        ("far.example!carol@example.test", 550, "5.1.1"),
    ],
)
async def test_refuses(recipient: str, code: int, enhanced: str) -> None:
    _, service = await reception()
    with pytest.raises(Refused) as refused:
        await send(service, a_client(peer="127.0.0.1"), "x@far.example", [recipient], MESSAGE)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, enhanced)
