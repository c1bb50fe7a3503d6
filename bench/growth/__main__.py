"""`python -m bench.growth`: figures over growing quantities, with charts and slopes in words, in bench/results."""

import argparse
import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.growth import accounts, connections, mailbox, octets, queue, report
from bench.growth.curve import Table
from bench.keeper import kept

RESULTS = Path(__file__).parents[1] / "results"
Run = Callable[[Table, Path, list[int]], Awaitable[None]]

AXES: dict[str, tuple[str, str, Run, list[int]]] = {
    "mailbox": ("Messages in a mailbox", "messages", mailbox.run, [1_000, 10_000, 100_000, 1_000_000]),
    "connections": ("Idle connections", "connections", connections.run, [100, 1_000, 10_000]),
    "accounts": ("Accounts", "accounts", accounts.run, [10, 100, 1_000, 10_000]),
    "size": ("Size of a message", "octets", octets.run, [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000]),
    "queue": ("Messages that wait in the queue", "messages", queue.run, [100, 1_000, 10_000, 100_000]),
}


def _measure(folder: Path, arguments: argparse.Namespace) -> int:
    tables = [Table(name, title, quantity) for name, (title, quantity, _, _) in AXES.items()]
    failed = 0
    for table in tables:
        if table.name not in arguments.names:
            continue
        print(f"{table.name}: {table.title}", flush=True)
        *_, run, sizes = AXES[table.name]
        sizes = [size for size in sizes if arguments.largest is None or size <= arguments.largest]
        try:
            asyncio.run(run(table, folder, sizes))  # type: ignore[arg-type]
        except Exception:
            traceback.print_exc()
            failed += 1
        report.write(tables, arguments.output)  # at once, so that a run that is cut off leaves its figures
    broken = [f"{t.name}: {c.name}" for t in tables for c in t.curves.values() if not c.kept]
    print("\n".join(["promises not kept:", *broken]) if broken else "every promise is kept")
    return 1 if failed else 0


def main() -> int:
    """The command; exit status 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--only", default=",".join(AXES), help="names, separated by commas: " + ", ".join(AXES))
    parser.add_argument("--largest", type=int, help="leave out quantities above this")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the table and charts")
    parser.add_argument("--seconds", type=float, help="stop everything and end after so many seconds")
    arguments = parser.parse_args()
    arguments.names = arguments.only.split(",")
    if unknown := [name for name in arguments.names if name not in AXES]:
        parser.error(f"no such quantity: {', '.join(unknown)}")
    return kept(lambda folder: _measure(folder, arguments), seconds=arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
