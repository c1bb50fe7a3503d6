"""AUTH SCRAM-SHA-256 through the engine, with and without an initial response."""

import base64

import pytest
from tests.pop3.client import ALICE, Office

from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.secret import Secret


@pytest.mark.parametrize("initial", [True, False])
async def test_scram(initial: bool) -> None:
    office = await Office.open()
    client = office.connect()
    scram = ScramClient(ALICE, Secret("open sesame"), lambda: "client")
    first = base64.b64encode(scram.initial()).decode()
    if initial:
        reply = await client.say(f"AUTH SCRAM-SHA-256 {first}")
    else:
        assert await client.say("AUTH scram-sha-256") == "+ "
        reply = await client.say(first)
    while reply.startswith("+ "):
        reply = await client.say(base64.b64encode(scram.answer(base64.b64decode(reply[2:]))).decode())
    assert reply == "+OK 0 messages"
    scram.succeeded()
    assert ("login", {"mechanism": "SCRAM-SHA-256", "account": ALICE}) in office.events


async def test_scram_with_a_wrong_password() -> None:
    office = await Office.open()
    client = office.connect()
    scram = ScramClient(ALICE, Secret("wrong"), lambda: "client")
    reply = await client.say("AUTH SCRAM-SHA-256 " + base64.b64encode(scram.initial()).decode())
    reply = await client.say(base64.b64encode(scram.answer(base64.b64decode(reply[2:]))).decode())
    assert reply == "-ERR [AUTH] Wrong name or password"
    assert not client.closed
