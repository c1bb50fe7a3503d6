"""Workload: something that both sides do, counted in operations."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from bench import measure
from bench.stack import Stack

Body = Callable[[Stack, "Meter"], Awaitable[None]]


@dataclass
class Meter:
    """What one run measured. A workload prepares, calls `begin`, works, calls `end`."""

    stack: Stack
    operations: int = 0
    seconds: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    by_kind: dict[str, list[float]] = field(default_factory=dict)
    """The same latencies, in rows of several kinds of operation."""
    extra: dict[str, float] = field(default_factory=dict)
    _start: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def begin(self) -> None:
        """The measured part starts."""
        self._start = (self.stack.cpu(), measure.own_cpu(), time.perf_counter())

    def end(self, operations: int) -> None:
        """The measured part is over; so many operations were done. Several parts add up."""
        server, client, wall = self._start
        self.seconds += time.perf_counter() - wall
        self.client_cpu += measure.own_cpu() - client
        self.server_cpu += self.stack.cpu() - server
        self.operations += operations

    def took(self, kind: str, seconds: float) -> None:
        """One operation of a kind took so long."""
        self.latencies.append(seconds)
        self.by_kind.setdefault(kind, []).append(seconds)

    @property
    def cost(self) -> float:
        """Server CPU per operation, microseconds."""
        return self.server_cpu / self.operations * 1e6 if self.operations else 0.0

    def percentile(self, which: int) -> float:
        """Latency percentile, milliseconds."""
        return percentile(self.latencies, which)


def percentile(latencies: list[float], which: int) -> float:
    """In milliseconds; of too few 0."""
    return statistics.quantiles(latencies, n=100)[which - 1] * 1e3 if len(latencies) > 1 else 0.0


@dataclass(frozen=True)
class Workload:
    """A row of the table."""

    name: str
    title: str
    unit: str
    run: Body
    goal: float
    """The goal for server CPU per operation, microseconds (0: none)."""
    accounts: int = 0
    """When given, each round gets a fresh server with so many accounts."""
    rounds: int = 1_000
    """At most so many, however many are asked for: of what takes minutes and averages by itself."""
    indexed: bool = False
    """Whether a fresh server is one that keeps an index of texts."""


WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str,
    title: str,
    unit: str,
    *,
    goal: float = 0,
    accounts: int = 0,
    rounds: int = 1_000,
    indexed: bool = False,
) -> Callable[[Body], Body]:
    """Register a coroutine function as a row."""

    def register(run: Body) -> Body:
        WORKLOADS[name] = Workload(name, title, unit, run, goal, accounts, rounds, indexed)
        return run

    return register


async def in_parallel(workers: int, jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run jobs, so many at a time, in order."""
    queue = iter(jobs)

    async def work() -> None:
        for job in queue:
            await job()

    await asyncio.gather(*(work() for _ in range(workers)))


async def settle(stack: Stack, seconds: float = 120) -> None:
    """Wait until everything accepted is in a mailbox."""
    deadline = time.monotonic() + seconds
    while stack.waiting():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{stack.name}: {stack.waiting()} messages still wait")
        await asyncio.sleep(0.02)


async def quiet(stack: Stack, *, share: float = 0.02, patience: float = 300.0) -> None:
    """Wait until the server uses less than this share of a CPU for a second and its index has everything, so that work behind
    delivery is not counted."""
    until = time.monotonic() + patience
    calm = 0
    while time.monotonic() < until:
        before = stack.cpu()
        await asyncio.sleep(0.25)
        calm = calm + 1 if (stack.cpu() - before) / 0.25 < share else 0
        if calm == 4:
            if not await asyncio.to_thread(stack.behind):
                return
            calm = 0
    print(f"  {stack.name} is still busy after {patience:.0f} s", flush=True)
