"""Writer: the one place where the store changes. Operations wait while a commit runs; the next commit takes all of them.

The event loop plans (`Batch`), one thread commits: there it is inside the kernel and SQLite nearly all the time, so that it
does not hold up the loop. One hop there and one back per batch, however many operations it holds.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

import apsw

from pillarbox.store.api import StoreUnavailable
from pillarbox.store.changes import Change
from pillarbox.store.durations import Durations
from pillarbox.store.embedded.batch import TRY_LATER, Batch, NextBatch, Undecided
from pillarbox.store.embedded.segments import SEGMENT_SIZE, SegmentLog
from pillarbox.store.embedded.state import Mailbox, State
from pillarbox.store.embedded.steps import Added, Expunged, Flagged, bring_up_to_date
from pillarbox.store.faults import kind_of

T = TypeVar("T")

MAX_OPERATIONS = 250
MAX_OCTETS = 16 * 1024 * 1024
"""Bounds of one batch: beyond them, waiting longer gains nothing and the loop would plan for too long."""

ROUNDS = 4
"""Rounds of the event loop from one commit to the next: meanwhile those who were just answered speak again, and a batch of
twice as many operations costs little more. They last as long as the loop has other work; when it has none, microseconds."""


class Observer(Protocol):
    """Who is told what happens to the store, for the log: short verbs with facts, see `wire.engine.Link.emit`."""

    def __call__(self, event: str, **facts: object) -> None: ...


@dataclass(slots=True)
class _Operation:
    plan: Callable[[Batch], object]
    future: "asyncio.Future[object]"
    result: object = None


class Writer:
    """`on_garbage` is called after a commit that left something for the sweeper, `on_grown` for each mailbox that changed.
    `commits` says how long each commit took, also a failed one, `operations` how many there were in those that succeeded."""

    def __init__(self, state: State, log: SegmentLog, connection: apsw.Connection, observer: Observer) -> None:
        self._loop = asyncio.get_running_loop()
        self._state = state
        self._log = log
        self._connection = connection
        self._observer = observer
        self._waiting: deque[_Operation] = deque()
        self._running = False
        self._scheduled = False
        self._closed = False
        self.commits = Durations()
        self.operations = 0
        self.on_garbage: Callable[[], None] | None = None
        self.on_grown: Callable[[Mailbox], None] = lambda _mailbox: None
        self._done: tuple[Batch, list[_Operation], BaseException | None] | None = None  # set by the thread
        self._alone = 0  # so many operations are committed one by one: together they failed
        self._idle = asyncio.Event()
        self._idle.set()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="pillarbox-writer", daemon=True)
        self._thread.start()

    async def do(self, plan: Callable[[Batch], T]) -> T:
        """Run a plan with the next batch; returns what it returned, after the commit. Raises what the plan raises, and
        StoreUnavailable when the commit failed."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.append(_Operation(plan, future))
        self._collect()
        if not self._running and not self._scheduled:
            self._scheduled = True
            self._idle.clear()
            self._loop.call_soon(self._start)
        return await future  # type: ignore[return-value]

    async def close(self) -> None:
        """Finish what was begun; nothing new is taken."""
        self._closed = True
        await self._idle.wait()
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # Planning, on the event loop

    def _start_in(self, rounds: int) -> None:
        self._scheduled = True
        if rounds:
            self._loop.call_soon(self._start_in, rounds - 1)
        else:
            self._start()

    def _start(self) -> None:
        self._scheduled = False
        while not self._running and self._waiting:
            batch, operations = self._plan()
            if not operations:
                continue
            if batch.version == 0 and not batch.buffers:
                for operation in operations:
                    _answer(operation)
                continue
            self._running = True
            self._jobs.put(lambda batch=batch, operations=operations: self._commit(batch, operations))  # type: ignore[misc]
        if not self._running:
            self._idle.set()

    def _plan(self) -> tuple[Batch, list[_Operation]]:
        if self._log.end >= SEGMENT_SIZE:
            self._log.roll()
        batch = Batch(self._state, self._log)
        operations: list[_Operation] = []
        limit = 1 if self._alone else MAX_OPERATIONS
        while self._waiting and len(operations) < limit and batch.octets < MAX_OCTETS:
            operation = self._waiting.popleft()
            if operation.future.done():
                continue  # its caller has gone
            version = batch.version
            try:
                operation.result = operation.plan(batch)
                operations.append(operation)
            except NextBatch:
                self._waiting.appendleft(operation)
                break
            except Exception as error:
                operation.future.set_exception(error)
                if batch.version != version:  # it had staged something: plan the others again without it
                    self._waiting.extendleft(reversed(operations))
                    return Batch(self._state, self._log), []
        self._alone = max(0, self._alone - len(operations))
        return batch, operations

    # Committing, in the writer's thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _commit(self, batch: Batch, operations: list[_Operation]) -> None:
        error: BaseException | None = None
        began = perf_counter()
        try:
            batch.commit(self._connection, self._log)
        except BaseException as e:
            error = e
        self.commits.note(perf_counter() - began)  # nobody else writes there
        self._done = batch, operations, error
        try:
            self._loop.call_soon_threadsafe(self._collect)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            pass

    # Consequences, on the event loop

    def _collect(self) -> None:
        """Take what the thread has done, if it has. The next operation asks, too: a busy loop comes to what the thread called
        only after everybody who has sent something, and all whose commit is done would wait for them."""
        if (done := self._done) is not None:
            self._done = None
            self._finish(*done)

    def _finish(self, batch: Batch, operations: list[_Operation], error: BaseException | None) -> None:
        self._running = False
        if error is None:
            self.operations += len(operations)
            batch.settle(self._log)
            self._tell(batch)
            for operation in operations:
                _answer(operation)
            if batch.sweep and self.on_garbage is not None:
                self.on_garbage()
        else:
            self._failed(batch, operations, error)
        self._start_in(ROUNDS)

    def _tell(self, batch: Batch) -> None:
        """Views first, so that whoever is told finds everything in its place."""
        told: list[Change] = []
        for step in batch.steps:
            if isinstance(step, Added | Flagged | Expunged):
                mailbox = step.mailbox
                mailbox.unsaved += step.rows
                changed = step.change()
                if mailbox.loading is not None:
                    mailbox.loading.append(step)
                elif (view := mailbox.loaded()) is not None:
                    bring_up_to_date(view, step, changed)
                told.append(changed)
                self.on_grown(mailbox)
            else:
                told.append(step)
        for change in told:
            try:
                self._state.changes.publish(change)
            except Exception as error:  # a watcher's fault must not cost others their answers
                self._loop.call_exception_handler({"message": "a watcher of the store raised", "exception": error})

    def _failed(self, batch: Batch, operations: list[_Operation], error: BaseException) -> None:
        if batch.buffers:
            self._log.roll()  # after a failed write or fsync nobody knows what the file holds
        trouble = isinstance(error, OSError | apsw.Error | Undecided) and not isinstance(error, apsw.ConstraintError)
        if not trouble and len(operations) > 1:  # one of them is to blame: each on its own
            self._alone = len(operations)
            self._waiting.extendleft(reversed(operations))
            return
        reason = f"{type(error).__name__}: {error}"
        self._observer("store_unavailable", fault=kind_of(error), reason=reason, operations=len(operations))
        for operation in operations:
            if not operation.future.done():
                kind = Undecided if isinstance(error, Undecided) else StoreUnavailable
                refusal = kind(TRY_LATER.format(error))
                refusal.__cause__ = error
                operation.future.set_exception(refusal)


def _answer(operation: _Operation) -> None:
    if not operation.future.done():
        operation.future.set_result(operation.result)
