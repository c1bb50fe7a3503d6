"""The time of day as a fault has it. Installed before anything of the server is imported: it keeps `time.time` in defaults."""

import time
from collections.abc import Callable

_jumps: list[Callable[[], float]] = []


def _jump() -> float:
    return sum(jump() for jump in _jumps)


def install() -> None:
    """From now on `time.time` is ours; the time that passes is as it was."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + _jump()
    time.time_ns = lambda: real_ns() + int(_jump() * 1e9)


def wrong_by(seconds: Callable[[], float]) -> None:
    """How wrong it is; asked each time."""
    _jumps[:] = [seconds]
