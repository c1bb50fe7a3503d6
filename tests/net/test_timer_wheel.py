"""The timer wheel: guests are asked in time, and cost nothing while they are active."""

import asyncio
import socket
import time

from pillarbox.net.timer_wheel import NOWHERE, TimerWheel

TICK = 0.02


class Visitor:
    def __init__(self, *answers: float | None) -> None:
        self.slot = NOWHERE
        self.answers = list(answers)
        self.asked: list[float] = []
        self.done = asyncio.Event()

    def check(self, now: float) -> float | None:
        self.asked.append(now)
        answer = self.answers.pop(0)
        if not self.answers:
            self.done.set()
        return answer


async def test_asked_in_time_and_never_early() -> None:
    wheel, visitor = TimerWheel(TICK), Visitor(0.1, None)
    start = asyncio.get_running_loop().time()
    wheel.schedule(visitor, 0.05)
    async with asyncio.timeout(5):
        await visitor.done.wait()
    first, second = (asked - start for asked in visitor.asked)
    assert first >= 0.05
    assert second - first >= 0.1 - TICK
    assert visitor.slot == NOWHERE


async def test_sooner_only_moves_forward_in_time() -> None:
    wheel, visitor = TimerWheel(TICK), Visitor(None)
    wheel.schedule(visitor, 10)
    far = visitor.slot
    wheel.sooner(visitor, 20)
    assert visitor.slot == far
    wheel.sooner(visitor, 0.02)
    assert visitor.slot < far
    async with asyncio.timeout(5):
        await visitor.done.wait()


async def test_who_left_is_not_asked_and_an_empty_wheel_rests() -> None:
    wheel, gone, other = TimerWheel(TICK), Visitor(None), Visitor(None)
    wheel.schedule(gone, 0.02)
    wheel.schedule(other, 0.1)
    wheel.cancel(gone)
    wheel.cancel(gone)
    async with asyncio.timeout(5):
        await other.done.wait()
    assert gone.asked == []
    await asyncio.sleep(0)
    assert wheel._timer is None
    again = Visitor(None)
    wheel.schedule(again, 0.02)  # it wakes up
    async with asyncio.timeout(5):
        await again.done.wait()


async def test_one_leaves_while_another_of_the_same_tick_is_asked() -> None:
    wheel = TimerWheel(TICK)
    asked: list[str] = []

    class Rival:
        def __init__(self, name: str) -> None:
            self.name, self.slot = name, NOWHERE
            self.other: Rival | None = None

        def check(self, _now: float) -> None:
            asked.append(self.name)
            if self.other is not None:
                wheel.cancel(self.other)

    one, two, last = Rival("one"), Rival("two"), Visitor(None)
    one.other, two.other = two, one
    wheel.schedule(one, 0.02)
    wheel.schedule(two, 0.02)
    wheel.schedule(last, 0.1)
    async with asyncio.timeout(5):
        await last.done.wait()
    assert len(asked) == 1
    assert wheel._guests == 0


async def test_after_a_pause_what_was_sent_meanwhile_is_read_first() -> None:
    """A process that was stopped finds all its timers due, and all its peers' octets unread."""
    wheel, visitor = TimerWheel(TICK), Visitor(None)
    wheel.schedule(visitor, 2 * TICK)
    time.sleep(10 * TICK)  # nothing of the loop runs
    heard = asyncio.get_running_loop().time()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"x")
        await asyncio.get_running_loop().sock_recv(ours, 1)
    assert visitor.asked == []
    async with asyncio.timeout(5):
        await visitor.done.wait()
    assert visitor.asked[0] >= heard


async def test_who_is_slow_for_long_has_timers_all_the_same() -> None:
    wheel, visitor = TimerWheel(TICK), Visitor(None)
    wheel.schedule(visitor, TICK)
    async with asyncio.timeout(5):
        while not visitor.done.is_set():
            time.sleep(5 * TICK)
            await asyncio.sleep(0)
