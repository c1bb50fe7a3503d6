"""A curve: one figure over one quantity that grows; its slope, and what that means in words."""

import math
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from bench.stack import Stack
from bench.workload import quiet

FLAT = 0.25
"""Exponents up to this count as flat: doubling the quantity costs less than a fifth more."""

LINEAR = 1.15
"""Exponents up to this count as linear: measurements scatter."""


class Promise(Enum):
    """How a figure may grow."""

    FLAT = "must not grow"
    LINEAR = "at most linear"


@dataclass
class Curve:
    """`points` maps the quantity to the figure. `floor`: what is below it is noise and passes, whatever its slope."""

    name: str
    unit: str
    promise: Promise
    floor: float = 0.0
    points: dict[int, float] = field(default_factory=dict)

    @property
    def slope(self) -> float:
        """Exponent of the power law that fits best (least squares of logarithms)."""
        pairs = [(math.log(x), math.log(max(y, 1e-9))) for x, y in self.points.items()]
        return statistics.linear_regression(*zip(*pairs, strict=True)).slope if len(pairs) > 1 else 0.0

    @property
    def last_slope(self) -> float:
        """Exponent between the two largest quantities, where a fixed part hides least."""
        if len(self.points) < 2:
            return 0.0
        (x1, y1), (x2, y2) = sorted(self.points.items())[-2:]
        return math.log(max(y2, 1e-9) / max(y1, 1e-9)) / math.log(x2 / x1)

    @property
    def kept(self) -> bool:
        """Whether the promise holds: over the whole range, and at its upper end."""
        limit = FLAT if self.promise is Promise.FLAT else LINEAR
        return max(self.slope, self.last_slope) <= limit or max(self.points.values()) <= self.floor

    @property
    def words(self) -> str:
        """The slope for people."""
        slope = self.slope
        if slope < -FLAT:
            return "falls"
        if slope <= FLAT:
            return "does not grow"
        if slope < 0.85:
            return "grows, slower than linearly"
        return "grows linearly" if slope <= LINEAR else "grows faster than linearly"


Curves = dict[str, Curve]


class Table:
    """The curves of one quantity, filled point by point."""

    def __init__(self, name: str, title: str, quantity: str) -> None:
        self.name, self.title, self.quantity = name, title, quantity
        self.curves: Curves = {}
        self.notes: list[str] = []

    def put(self, x: int, name: str, value: float, unit: str, promise: Promise, *, floor: float = 0.0) -> None:
        """One point."""
        curve = self.curves.setdefault(name, Curve(name, unit, promise, floor))
        curve.points[x] = value
        print(f"  {x:>10,} {name:45} {value:14,.2f} {unit}", flush=True)

    async def time(
        self, x: int, name: str, stack: Stack, operation: Callable[[int], Awaitable[object]], times: int,
        promise: Promise, *, floor: float = 100.0,
    ) -> None:  # fmt: skip
        """Do something several times in a row: a point of server CPU (microseconds each) and one of the median wait.

        The server is left alone for a moment before, and what it computes anyway is not taken off.
        """
        await operation(0)
        await quiet(stack)
        waits = []
        before = stack.cpu()
        for n in range(1, times + 1):
            start = time.perf_counter()
            await operation(n)
            waits.append(time.perf_counter() - start)
        self.put(x, name, (stack.cpu() - before) / times * 1e6, "µs CPU", promise, floor=floor)
        self.put(x, f"{name}: wait", statistics.median(waits) * 1e3, "ms", promise, floor=20.0)
