"""Writes the table of metrics in docs/operations.md from the code: `python tools/make_metrics.py [--check]`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

from pillarbox.observe.metrics import METRICS, Metric  # noqa: E402

TARGET = ROOT / "docs" / "operations.md"
START = "<!-- metrics: written by tools/make_metrics.py -->"
END = "<!-- end of metrics -->"


def row(metric: Metric) -> str:
    """One line of the table."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


def document(text: str) -> str:
    """The page with a new table."""
    head, _, rest = text.partition(START)
    tail = rest.partition(END)[2]
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|", *map(row, METRICS)]
    return f"{head}{START}\n" + "\n".join(lines) + f"\n{END}{tail}"


def main() -> int:
    """Write it, or only look whether it is up to date."""
    written = TARGET.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        return int(written != document(written))
    TARGET.write_text(document(written), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
