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


def cpu_of(*arguments: str) -> float:
    """Seconds of CPU (user and system) that Python takes for these arguments: the least of five, bytecode at hand."""
    spent = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=environment(), stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent[1:])


def smallest_help() -> float:
    """Seconds of CPU for `--help` of a program that has nothing else: a fifth of one on an ordinary machine."""
    return cpu_of("-c", _SMALLEST)
