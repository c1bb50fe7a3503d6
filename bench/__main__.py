"""`python -m bench`: run workloads on both sides, alternating, and write the table and charts to bench/results."""

import argparse
import asyncio
import itertools
import json
import sys
from pathlib import Path

from bench import report, workloads
from bench.keeper import kept
from bench.pillarbox_stack import Pillarbox
from bench.postfix_dovecot import PostfixDovecot
from bench.stack import Stack
from bench.workload import WORKLOADS, Meter, Workload

ACCOUNTS = 100
RESULTS = Path(__file__).parent / "results"


def _loop_runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


_fresh = itertools.count()


def _run(runner: asyncio.Runner, row: Workload, stack: Stack, folder: Path) -> Meter:
    if row.accounts:
        stack = stack.fresh(folder / f"fresh{next(_fresh)}", row.accounts, indexed=row.indexed)
        stack.start()
    meter = Meter(stack)
    try:
        runner.run(row.run(stack, meter))
    finally:
        if row.accounts:
            stack.stop()
    print(
        f"  {stack.name:18} {meter.cost:10.1f} us CPU/{row.unit:10} {meter.operations / max(meter.seconds, 1e-9):10.0f}/s "
        f"p50 {meter.percentile(50):7.2f} p99 {meter.percentile(99):7.2f} ms  client {meter.client_cpu:5.2f} s "
        f"{' '.join(f'{k} {v:.1f}' for k, v in meter.extra.items())}",
        flush=True,
    )
    return meter


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help="names of rows, separated by commas: " + ", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="Pillarbox only, without the peers")
    parser.add_argument("--output", type=Path, default=None, help="folder for the table and charts")
    parser.add_argument("--seconds", type=float, default=None, help="stop everything and end after so many seconds")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(WORKLOADS)
    if unknown := [name for name in names if name not in WORKLOADS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    arguments.rows = [WORKLOADS[name] for name in names]
    return arguments


def measured(folder: Path, arguments: argparse.Namespace) -> int:
    """Run what was asked for; exit status 1 when a row failed on either side."""
    failed = 0
    meters: dict[str, dict[str, list[Meter]]] = {}
    stacks: list[Stack] = [Pillarbox(folder / "pillarbox", ACCOUNTS)]
    if not arguments.alone:
        stacks.append(PostfixDovecot(folder / "peers", ACCOUNTS))
    with _loop_runner() as runner:
        for stack in stacks:
            stack.start()
        for row in arguments.rows:
            print(f"{row.name}: {row.title}", flush=True)
            for _ in range(min(arguments.rounds, row.rounds)):
                for stack in stacks:
                    try:
                        meter = _run(runner, row, stack, folder)
                    except Exception as error:
                        print(f"  {stack.name}: failed: {error!r}", flush=True)
                        failed += 1
                    else:
                        meters.setdefault(row.name, {}).setdefault(stack.name, []).append(meter)
            if not arguments.alone or arguments.output:  # row by row, so that a run that is cut off leaves its figures
                report.write(report.figures(meters, WORKLOADS), arguments.output or RESULTS)
    for stack in stacks:
        stack.stop()
    rows = report.figures(meters, WORKLOADS)
    print(report.table(rows) + report.by_kind(rows))
    print(json.dumps({"rows": len(meters), "failed": failed}))
    return 1 if failed else 0


def main() -> int:
    """Measure under a keeper, which ends whatever is still there however this ends."""
    arguments = _arguments()
    return kept(lambda folder: measured(folder, arguments), seconds=arguments.seconds)


if __name__ == "__main__":
    _ = workloads
    sys.exit(main())
