"""The loop's lag is measured, and said once in a while when people notice it."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import pytest

from pillarbox.observe.lag import LIMIT, PAUSE, LagGauge, waiting_time


def test_a_line_at_once_then_one_in_a_while() -> None:
    lines: list[dict[str, Any]] = []
    now = [100.0]
    gauge = LagGauge(lambda event, **facts: lines.append({"event": event, **facts}), clock=lambda: now[0])
    gauge.note(LIMIT, 0.0)
    assert lines == []
    gauge.note(0.3, 0.2, 0.05)
    assert lines == [{"event": "loop_late", "lag": 0.3, "computed": 0.2, "waited": 0.05, "times": 1}]
    gauge.note(0.5, 0.1)
    gauge.note(0.4, 0.4)
    assert len(lines) == 1
    now[0] += PAUSE
    gauge.note(0.0, 0.0)
    assert lines[1:] == [{"event": "loop_late", "lag": 0.5, "computed": 0.1, "waited": 0.0, "times": 2}]
    assert gauge.worst == 0.5
    now[0] += PAUSE
    gauge.note(0.0, 0.0)
    assert len(lines) == 2


async def test_a_loop_that_is_held_up() -> None:
    lines: list[str] = []
    gauge = LagGauge(lambda event, **_facts: lines.append(event))
    task = asyncio.create_task(gauge.run())
    await asyncio.sleep(0.2)
    time.sleep(0.4)
    async with asyncio.timeout(5):
        while not lines:
            await asyncio.sleep(0.01)
    assert lines == ["loop_late"]
    assert gauge.worst > 0.2
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert lines == ["loop_late", "loop_lag"]


@pytest.mark.skipif(sys.platform != "linux", reason="told by Linux only")
def test_waiting_is_what_the_others_on_one_processor_take() -> None:
    """Two processes that compute on one processor: each waits about half of the time."""
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    mine = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        try:
            os.sched_setaffinity(0, {min(mine)})
            before = waiting_time()
            until = time.thread_time() + 0.3
            while time.thread_time() < until:
                pass
            assert waiting_time() - before > 0.05
        finally:
            os.sched_setaffinity(0, mine)
            other.kill()


def test_percentiles() -> None:
    gauge = LagGauge(lambda _event, **_facts: None)
    assert gauge.percentile(99) == 0
    for milliseconds in range(1, 1001):
        gauge.note(milliseconds / 1000, 0.0)
    for which in (10, 50, 90, 99):
        assert which / 100 <= gauge.percentile(which) <= which / 100 * 1.25
    assert gauge.percentile(100) == gauge.worst == 1.0
    gauge.note(0.0, 0.0)
    assert gauge.percentile(0.05) <= 1e-4
