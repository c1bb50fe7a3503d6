"""`python -m bench`: run workloads on both sides, alternating, and write the table and charts to bench/results."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from bench import report, workloads
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


def _run(runner: asyncio.Runner, row: Workload, stack: Stack) -> Meter:
    meter = Meter(stack)
    runner.run(row.run(stack, meter))
    print(
        f"  {stack.name:18} {meter.cost:10.1f} us CPU/{row.unit:10} {meter.operations / max(meter.seconds, 1e-9):10.0f}/s "
        f"p50 {meter.percentile(50):7.2f} p99 {meter.percentile(99):7.2f} ms  client {meter.client_cpu:5.2f} s "
        f"{' '.join(f'{k} {v:.1f}' for k, v in meter.extra.items())}",
        flush=True,
    )
    return meter


def main() -> int:
    """Run what was asked for; exit status 1 when a row failed on either side."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help="names of rows, separated by commas: " + ", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="Pillarbox only, without the peers")
    parser.add_argument("--output", type=Path, default=None, help="folder for the table and charts")
    arguments = parser.parse_args()
    rows = [WORKLOADS[name] for name in arguments.only.split(",")] if arguments.only else list(WORKLOADS.values())
    failed = 0
    measured: dict[str, dict[str, list[Meter]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _loop_runner() as runner:
        Path(folder).chmod(0o755)
        stacks: list[Stack] = [Pillarbox(Path(folder, "pillarbox"), ACCOUNTS)]
        if not arguments.alone:
            stacks.append(PostfixDovecot(Path(folder, "peers"), ACCOUNTS))
        try:
            for stack in stacks:
                stack.start()
            for row in rows:
                print(f"{row.name}: {row.title}", flush=True)
                for _ in range(arguments.rounds):
                    for stack in stacks:
                        try:
                            meter = _run(runner, row, stack)
                        except Exception as error:
                            print(f"  {stack.name}: failed: {error!r}", flush=True)
                            failed += 1
                        else:
                            measured.setdefault(row.name, {}).setdefault(stack.name, []).append(meter)
        finally:
            for stack in stacks:
                stack.stop()
    figures = report.figures(measured, WORKLOADS)
    print(report.table(figures))
    if not arguments.alone or arguments.output:
        report.write(figures, arguments.output or RESULTS)
    print(json.dumps({"rows": len(measured), "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    _ = workloads
    sys.exit(main())
