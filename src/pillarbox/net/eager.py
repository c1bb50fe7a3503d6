"""Run a coroutine at once, and make a task of it only when it has to wait.

Most commands wait for nothing. A task, and the round of the event loop before its first step, would cost as much as they do.
"""

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from typing import Any


def run_eagerly(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Returns the task that goes on with it, or None when it is finished. It must not raise.

    Until its first wait there may be no current task, so that `asyncio.timeout` cannot be the first thing it waits in.
    """
    if sys.version_info >= (3, 12):
        task: asyncio.Task[None] = asyncio.Task(coroutine, loop=loop, eager_start=True)
        return None if task.done() else task
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return loop.create_task(_go_on(coroutine, awaited))


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """What `await coroutine` would do, had it not been begun already."""
    while True:
        try:
            sent = yield awaited
        except BaseException as error:
            thrown: BaseException | None = error
        else:
            thrown = None
        try:
            awaited = coroutine.send(sent) if thrown is None else coroutine.throw(thrown)
        except StopIteration:
            return
