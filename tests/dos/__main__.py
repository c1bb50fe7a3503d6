"""`make dos [ONLY=idle-strangers,login-storm] [ATTACK_SECONDS=8]`: what users notice of each attack."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.dos.attacker import load
from tests.dos.harness import OPERATIONS, Outcome, Samples, run
from tests.dos.town import fill

MIB = 2**20


def cell(samples: Samples, operation: str) -> str:
    """Median / 99th percentile in milliseconds."""
    if not samples.count(operation):
        return "none"
    return f"{samples.quantile(operation, 0.5) * 1000:.0f}/{samples.quantile(operation, 0.99) * 1000:.0f}"


def row(title: str, samples: Samples, facts: str) -> str:
    """One line of the table."""
    errors = sum(map(len, samples.errors.values()))
    cells = [cell(samples, operation) for operation in OPERATIONS]
    return f"| {title} | " + " | ".join(cells) + f" | {errors} | {facts} |"


def tell(outcome: Outcome) -> str:
    """The rows of one attack."""
    facts = f"{outcome.quiet / MIB:.0f} → {outcome.peak / MIB:.0f} | {outcome.processor:.0%} | {outcome.waited:.0%}"
    return row(outcome.attack.title, outcome.during, facts)


def details(outcome: Outcome) -> str:
    """What is not in the table."""
    lines = ["  before: " + ", ".join(f"{o} {cell(outcome.before, o)}" for o in OPERATIONS)]
    lines.append("  during: " + ", ".join(f"{o} {outcome.during.count(o)}" for o in OPERATIONS))
    lines.append("  after:  " + ", ".join(f"{o} {cell(outcome.after, o)}" for o in OPERATIONS))
    lines.append(
        f"  done: {outcome.done}; lag {outcome.lag[0]} s, of which computed {outcome.lag[1]}; "
        f"descriptors {outcome.descriptors}; waited {outcome.waited:.0%}; PSS at the end {outcome.end / MIB:.0f}"
    )
    for name, samples in (("before", outcome.before), ("during", outcome.during), ("after", outcome.after)):
        lines += [f"  {name}: {o}: {len(e)} errors, like {e[0]}" for o, e in samples.errors.items()]
    return "\n".join(lines + [f"  BUG {bug}" for bug in outcome.bugs])


def main() -> int:
    """The command."""
    attacks = load()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help=", ".join(attacks))
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--preferred", action="store_true", help="let the server go before the machine's other work (root)"
    )
    arguments = parser.parse_args()
    chosen = [name for name in arguments.only.split(",") if name] or list(attacks)
    head = "| attack | " + " | ".join(OPERATIONS) + " | errors | PSS, MiB | CPU | waited |"
    rows = [head, "|" + "---|" * (head.count("|") - 1)]
    with tempfile.TemporaryDirectory(prefix="pillarbox-dos-") as folder:
        prepared = Path(folder) / "prepared"
        asyncio.run(fill(prepared, 0))
        for name in chosen:
            outcome = run(
                attacks[name],
                Path(folder) / name,
                prepared,
                seconds=arguments.seconds,
                scale=arguments.scale,
                preferred=arguments.preferred,
            )  # fmt: skip
            if len(rows) == 2:
                rows.append(row("none", outcome.before, f"{outcome.quiet / MIB:.0f} | | "))
            rows.append(tell(outcome))
            print(f"{name}\n{details(outcome)}", flush=True)
    print("\n".join(["", "Milliseconds, median/99th percentile, while attacked:", *rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
