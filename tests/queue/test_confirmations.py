"""Who is told that mail was passed on (RFC 3461 §5.2.2), and what never is told."""

from typing import Any

import pytest
from tests.queue.fakes import MESSAGE, NO, House, Spool

from pillarbox.queue.bounce import Bounces
from pillarbox.store.api import Relay


async def submitted(house: House, recipients: dict[str, dict[str, str]], **parameters: str) -> None:
    relay = Relay("Q1", "alice@here.test", list(recipients.items()), house.alice, parameters)
    await house.store.accept(Spool.of(MESSAGE), [], relay)


async def test_passed_on_to_a_server_that_does_not_notify() -> None:
    house = await House().open()
    recipients = {
        "bob@them.test": {"NOTIFY": "SUCCESS", "ORCPT": "rfc822;bob+2Bx@them.test"},
        "eve@them.test": {"NOTIFY": "FAILURE"},
        "kim@them.test": {},
    }
    await submitted(house, recipients, RET="FULL", ENVID="e+201")
    await house.work()
    (note,) = await house.inbox()
    for words in (
        b"Original-Envelope-Id: e 1\r\n",
        b"Original-Recipient: rfc822;bob+x@them.test\r\n",
        b"Action: relayed\r\n",
        b"Subject: Your message was passed on: lunch\r\n",
        b"Remote-MTA: dns; mx.them.test\r\n",
    ):
        assert words in note
    assert b"eve@" not in note
    assert b"kim@" not in note
    assert b"At noon?" not in note  # only a failure returns the whole (§4.3)
    assert await house.store.queue.entries() == []


async def test_the_next_server_notifies() -> None:
    house = await House().open()
    house.world.notifying = True
    await submitted(house, {"bob@them.test": {"NOTIFY": "SUCCESS"}})
    await house.work()
    assert await house.inbox() == []
    assert [r[1] for r in house.world.received] == ["bob@them.test"]


@pytest.mark.parametrize("notify", ["never", "SUCCESS"])
async def test_who_asked_for_no_failure_hears_of_none(notify: str) -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: NO
    await submitted(house, {"bob@them.test": {"NOTIFY": notify}})
    await house.work()
    assert await house.inbox() == []
    assert await house.store.queue.entries() == []


async def test_a_bug_in_the_confirmation_does_not_deliver_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().open()

    async def broken(*_args: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Bounces, "make", broken)
    await submitted(house, {"bob@them.test": {"NOTIFY": "SUCCESS"}})
    await house.work()
    assert await house.store.queue.entries() == []
    assert len(house.world.received) == 1
    assert house.told("relay_broken") != []
