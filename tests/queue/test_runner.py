"""The life of a queued message, with a clock that is moved by hand."""

import asyncio

import pytest
from tests.queue.fakes import LATER, MESSAGE, NO, OK, House

from pillarbox.mail.status import Reply
from pillarbox.queue.attempt import Content, PeerFailed
from pillarbox.queue.gate import Gate
from pillarbox.queue.policy import DAY, HOUR, MINUTE, Schedule, Smarthost
from pillarbox.queue.routing import Peer
from pillarbox.smtp.client.transaction import Transaction
from pillarbox.store.api import QueueRecipient, RecipientState, StoreUnavailable
from pillarbox.store.changes import QueueChanged


async def test_delivered_and_gone() -> None:
    house = await House().open()
    await house.submit("bob@them.test", "eve@them.test", "kim@other.test")
    assert await house.work() == 1
    assert sorted(house.world.received) == [
        ("alice@here.test", "bob@them.test", MESSAGE),
        ("alice@here.test", "eve@them.test", MESSAGE),
        ("alice@here.test", "kim@other.test", MESSAGE),
    ]
    assert len(house.world.calls) == 2  # one for each destination
    assert await house.store.queue.entries() == []
    assert await house.inbox() == []
    assert len(house.told("relay_delivered")) == 3


async def test_one_smarthost_is_one_destination() -> None:
    house = await House(smarthost=Smarthost("192.0.2.1")).open()
    await house.submit("bob@them.test", "kim@other.test", "x@nowhere.test")
    await house.work()
    assert [r for _, r in house.world.calls] == [["bob@them.test", "kim@other.test", "x@nowhere.test"]]
    assert house.dns.asked == []


async def test_deferred_and_tried_again() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: LATER
    await house.submit("bob@them.test", "kim@other.test")
    await house.work()
    (entry,) = await house.store.queue.entries()
    deferred, delivered = entry.recipients
    assert delivered.state is RecipientState.DELIVERED
    assert (deferred.state, deferred.attempts) == (RecipientState.QUEUED, 1)
    assert deferred.next_attempt == house.now + 5 * MINUTE
    assert deferred.last_reply == "mx.them.test [192.0.2.1]: 451 4.7.1 later"
    assert await house.work() == 0
    house.now += 5 * MINUTE
    house.world.servers["192.0.2.1"] = lambda _a: OK
    assert await house.work() == 1
    assert await house.store.queue.entries() == []
    assert [r[1] for r in house.world.received] == ["kim@other.test", "bob@them.test"]  # and nobody twice


async def test_refused_comes_back_at_once() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda a: NO if a.startswith("bob") else OK
    await house.submit("bob@them.test", "eve@them.test")
    await house.work()
    assert await house.store.queue.entries() == []
    (bounce,) = await house.inbox()
    assert b"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.them.test\r\n" in bounce
    assert b"Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n" in bounce
    assert b"Final-Recipient: rfc822; bob@them.test\r\n" in bounce
    assert b"eve@them.test" not in bounce
    assert MESSAGE in bounce
    assert b"Auto-Submitted: auto-replied\r\n" in bounce


async def test_late_is_said_once_and_then_given_up() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: LATER
    await house.submit("bob@them.test")
    start, mails = house.now, []
    for _ in range(60):
        await house.work()
        mails.append(len(await house.inbox()))
        due = await house.store.queue.next_due()
        if due is None:
            break
        assert due > house.now
        house.now = due
    assert house.now == start + 5 * DAY
    assert mails[-1] == 2
    warning, bounce = await house.inbox()
    assert b"Action: delayed\r\nStatus: 4.7.1\r\n" in warning
    assert b"Will-Retry-Until: " in warning
    assert b"Action: failed\r\nStatus: 4.7.1\r\n" in bounce
    assert [m for m in mails if m == 0]
    assert await house.store.queue.entries() == []


async def test_the_null_reverse_path_is_never_bounced() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: NO
    await house.submit("bob@them.test", reverse_path="")
    await house.work()
    assert await house.store.queue.entries() == []
    assert await house.inbox() == []
    assert len(house.told("bounce_dropped")) == 1


async def test_a_bounce_for_someone_elsewhere_is_relayed_with_a_null_reverse_path() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: NO
    await house.submit("bob@them.test", reverse_path="kim@other.test")
    await house.work()
    await house.work()
    ((reverse_path, recipient, octets),) = house.world.received
    assert (reverse_path, recipient) == ("", "kim@other.test")
    assert b"To: <kim@other.test>\r\n" in octets


async def test_a_bounce_nobody_can_get_is_dropped() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: NO
    await house.submit("bob@them.test", reverse_path="gone@here.test")
    await house.work()
    assert await house.store.queue.entries() == []
    assert len(house.told("bounce_dropped")) == 1


async def test_large_messages_come_back_as_their_header() -> None:
    house = await House(returned=500).open()
    house.world.servers["192.0.2.1"] = lambda _a: NO
    await house.submit("bob@them.test", octets=MESSAGE + b"body line\r\n" * 100)
    await house.work()
    (bounce,) = await house.inbox()
    assert b"Content-Type: text/rfc822-headers\r\n" in bounce
    assert b"Subject: lunch\r\n" in bounce
    assert b"body line" not in bounce


@pytest.mark.parametrize(("domain", "enhanced"), [("nowhere.test", b"5.1.2"), ("null.test", b"5.1.10")])
async def test_nowhere_to_go(domain: str, enhanced: bytes) -> None:
    house = await House().open()
    house.dns.mail |= {"nowhere.test": None, "null.test": [(0, "")]}
    await house.submit(f"bob@{domain}")
    await house.work()
    (bounce,) = await house.inbox()
    assert b"Status: %b\r\n" % enhanced in bounce
    assert b"Diagnostic-Code" not in bounce  # nobody else said anything


async def test_a_silent_dns_is_no_failure() -> None:
    house = await House().open()
    await house.submit("bob@?.test")
    await house.work()
    (entry,) = await house.store.queue.entries()
    assert entry.recipients[0].state is RecipientState.QUEUED


async def test_what_was_delivered_is_on_record_while_others_are_slow() -> None:
    house = await House().open()
    slow = asyncio.Event()
    send = house.world.send

    async def waiting(peer: Peer, transaction: Transaction, content: Content) -> str:
        if peer.address == "192.0.2.2":
            await slow.wait()
        return await send(peer, transaction, content)

    house.world.send = waiting  # type: ignore[method-assign]
    await house.submit("bob@them.test", "kim@other.test")
    await house.runner.start_due()
    while not house.told("relay_delivered"):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    (entry,) = await house.store.queue.entries()
    assert [r.state for r in entry.recipients] == [RecipientState.DELIVERED, RecipientState.QUEUED]
    assert await house.runner.start_due() == 0  # it is still leased
    slow.set()
    await house.runner.settle()
    assert await house.store.queue.entries() == []


async def test_a_bug_costs_a_retry_and_not_the_message() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = ValueError("bug")
    await house.submit("bob@them.test")
    await house.work()
    (entry,) = await house.store.queue.entries()
    assert entry.recipients[0].state is RecipientState.QUEUED
    assert await house.store.queue.next_due() == house.now + 5 * MINUTE
    assert len(house.told("relay_broken")) == 1


async def test_a_bug_in_making_the_bounce_keeps_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: NO

    def broken(_report: object) -> bytes:
        raise ValueError("bug")

    monkeypatch.setattr("pillarbox.queue.bounce.compose", broken)
    await house.submit("bob@them.test")
    await house.work()
    assert await house.store.queue.next_due() == house.now + 5 * MINUTE


async def test_outcomes_are_recorded_however_long_the_disk_is_full() -> None:
    house = await House(store_retry=0.0).open()
    update, failures = house.store.queue.update, [1, 2, 3]

    async def failing(*args: object, **kwargs: object) -> None:
        if failures:
            failures.pop()
            raise StoreUnavailable("disk full")
        await update(*args, **kwargs)  # type: ignore[arg-type]

    house.store.queue.update = failing  # type: ignore[method-assign, assignment]
    await house.submit("bob@them.test")
    await house.work()
    assert await house.store.queue.entries() == []
    assert len(house.world.received) == 1
    assert len(house.told("queue_unwritable")) == 3


async def test_removed_while_it_is_tried() -> None:
    house = await House().open()

    def remove(_address: str) -> Reply:
        house.store.queue._queued.clear()
        return NO

    house.world.servers["192.0.2.1"] = remove
    await house.submit("bob@them.test")
    await house.work()
    assert await house.inbox() == []
    assert house.told("relay_entry_removed")


async def test_only_those_due_are_tried() -> None:
    house = await House().open()
    await house.submit("bob@them.test", "eve@them.test")
    (entry,) = await house.store.queue.entries()
    waiting = QueueRecipient(entry.recipients[1].id, "eve@them.test", next_attempt=house.now + HOUR)
    await house.store.queue.update("Q1", [waiting])
    await house.work()
    assert [r for _, r in house.world.calls] == [["bob@them.test"]]
    assert await house.store.queue.next_due() == house.now + HOUR


async def test_internationalised_headers_need_smtputf8_only_if_they_are() -> None:
    house = await House().open()
    seen: list[bool] = []
    send = house.world.send

    async def looking(peer: Peer, transaction: Transaction, content: Content) -> str:
        seen.append(transaction.needs_utf8)
        return await send(peer, transaction, content)

    house.world.send = looking  # type: ignore[method-assign]
    await house.submit("bob@them.test", SMTPUTF8="")
    await house.work()
    await house.submit("bob@them.test", octets="Subject: ü\r\n\r\n".encode(), SMTPUTF8="")
    await house.work()
    assert seen == [False, True]


async def test_run_wakes_on_new_mail_and_finishes_on_cancel() -> None:
    house = await House(schedule=Schedule(first=0.0, jitter=0.0)).open()
    running = asyncio.create_task(house.runner.run())
    await asyncio.sleep(0)
    await house.submit("bob@them.test")
    while not house.world.received:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await house.store.queue.entries() == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_cancellation_that_comes_with_news_is_heard(steps: int) -> None:
    house = await House().open()
    running = asyncio.create_task(house.runner.run())
    await asyncio.sleep(0.01)  # it waits
    house.runner._on_change(QueueChanged())
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done
    assert running.cancelled()


async def test_run_retries_by_time() -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = PeerFailed(Reply(451, "4.4.1", "down"))
    await house.submit("bob@them.test")
    running = asyncio.create_task(house.runner.run())
    while not house.told("relay_deferred"):
        await asyncio.sleep(0.001)
    house.world.servers["192.0.2.1"] = lambda _a: OK
    await house.store.queue.retry(None, house.now)  # as an administrator would
    while not house.world.received:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_gate_bounds_sessions() -> None:
    gate, inside, most = Gate(3, 2), {"a": 0, "b": 0}, {"a": 0, "b": 0, "all": 0}

    async def visit(destination: str) -> None:
        async with gate.to(destination):
            inside[destination] += 1
            most[destination] = max(most[destination], inside[destination])
            most["all"] = max(most["all"], sum(inside.values()))
            await asyncio.sleep(0.001)
            inside[destination] -= 1

    await asyncio.gather(*(visit("a") for _ in range(8)), *(visit("b") for _ in range(8)))
    assert most == {"a": 2, "b": 2, "all": 3}
    assert gate._lanes == {}


@pytest.mark.parametrize("while_running", [True, False])
async def test_what_a_clock_that_was_ahead_put_off_is_due_when_it_is_right_again(while_running: bool) -> None:
    house = await House().open()
    house.world.servers["192.0.2.1"] = lambda _a: LATER
    running = asyncio.create_task(house.runner.run())
    house.now += 3 * DAY
    await house.submit("bob@them.test")
    async with asyncio.timeout(5):
        while not house.told("relay_deferred"):
            await asyncio.sleep(0.01)
    if not while_running:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    house.now -= 3 * DAY
    house.world.servers["192.0.2.1"] = lambda _a: OK
    if while_running:
        house.runner._changed.set()  # instead of LONGEST_SLEEP
    else:
        running = asyncio.create_task(house.runner.run())
    async with asyncio.timeout(5):
        while await house.store.queue.entries():
            await asyncio.sleep(0.01)
    assert house.told("clock_set_back") == [{"recipients": 1}]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
