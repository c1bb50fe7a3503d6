"""Yardstick: how fast this machine starts Python programs, so that what has to start quickly is compared with it and not with a
clock. `make bench-start` says it in seconds.
"""

import resource
import subprocess
import sys

from tests.demo import environment

_SMALLEST = """
import typer
app = typer.Typer()
@app.command()
def one(): pass
@app.command()
def two(): pass
app(["--help"])
"""


def cpu_of(*programs: tuple[str, ...]) -> list[float]:
    """Seconds of CPU (user and system) that Python takes for each of these arguments: the least of five, bytecode at hand. In
    turns, so that a machine whose speed changes meanwhile is slow for all of them."""
    spent: list[list[float]] = [[] for _ in programs]
    for _ in range(6):
        for arguments, seconds in zip(programs, spent, strict=True):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *arguments], env=environment(), stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return [min(seconds[1:]) for seconds in spent]


SMALLEST_HELP = ("-c", _SMALLEST)
"""`--help` of a program that has nothing else."""


def smallest_help() -> float:
    """Seconds of CPU for it: a fifth of one on an ordinary machine."""
    return cpu_of(SMALLEST_HELP)[0]
