"""From meters to a Markdown table and a chart."""

import contextlib
import json
import platform
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.workload import WORKLOADS, Meter, Workload, percentile

OURS = "Pillarbox"


@dataclass
class Figure:
    """One row: medians of both sides, server CPU in microseconds per operation; the ratio is theirs / ours."""

    name: str
    title: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    spread: str
    goal: float
    ours_p50: float
    ours_p99: float
    theirs_p50: float
    theirs_p99: float
    ours_rate: float
    theirs_rate: float
    extra: str
    kinds: dict[str, list[float]] = field(default_factory=dict)
    """Where there are several kinds of operation: p50 and p99 of ours, of theirs, milliseconds."""


def _median(meters: list[Meter], what: str, *arguments: int) -> float:
    values = [getattr(m, what)(*arguments) if arguments else getattr(m, what) for m in meters]
    return statistics.median(values) if values else 0.0


def figures(measured: Mapping[str, Mapping[str, list[Meter]]], rows: Mapping[str, Workload]) -> list[Figure]:
    """Medians and ratios, one for each measured row."""
    out = []
    for name, sides in measured.items():
        row = rows[name]
        ours = sides.get(OURS, [])
        theirs = next((meters for side, meters in sides.items() if side != OURS), [])
        ratios = sorted(b.cost / a.cost for a, b in zip(ours, theirs, strict=False) if a.cost)
        extra = "; ".join(
            f"{side}: {key} {statistics.median(m.extra[key] for m in meters):.1f}"
            for side, meters in sides.items()
            for key in meters[0].extra
        )

        def rate(meters: list[Meter]) -> float:
            return statistics.median(m.operations / m.seconds for m in meters) if meters else 0.0

        out.append(
            Figure(
                name, row.title, row.unit, _median(ours, "cost"), _median(theirs, "cost"),
                statistics.median(ratios) if ratios else 0.0,
                f"{ratios[0]:.1f}-{ratios[-1]:.1f}" if ratios else "", row.goal,
                _median(ours, "percentile", 50), _median(ours, "percentile", 99),
                _median(theirs, "percentile", 50), _median(theirs, "percentile", 99),
                rate(ours), rate(theirs), extra, _kinds(ours, theirs),
            )
        )  # fmt: skip
    return out


def _kinds(ours: list[Meter], theirs: list[Meter]) -> dict[str, list[float]]:
    """All rounds of a side together: of some kinds one round has few."""
    return {
        kind: [
            percentile([seconds for m in meters for seconds in m.by_kind.get(kind, ())], which)
            for meters in (ours, theirs)
            for which in (50, 99)
        ]
        for kind in (ours or theirs)[0].by_kind
    }


def _us(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


_HEAD = (
    "workload",
    "Pillarbox, µs CPU",
    "peers, µs CPU",
    "ratio (spread)",
    "goal",
    "p50 / p99 ms",
    "peers",
    "per s",
    "peers",
    "",
)


def table(rows: list[Figure]) -> str:
    """The Markdown table."""
    lines = [" | ".join(_HEAD), "|".join("---" for _ in _HEAD)]
    for r in rows:
        cells = (
            f"{r.title} (per {r.unit})",
            _us(r.ours),
            _us(r.theirs),
            f"{r.ratio:.1f} ({r.spread})" if r.ratio else "",
            _us(r.goal) if r.goal else "",
            f"{r.ours_p50:.1f} / {r.ours_p99:.1f}" if r.ours_p50 else "",
            f"{r.theirs_p50:.1f} / {r.theirs_p99:.1f}" if r.theirs_p50 else "",
            f"{r.ours_rate:,.0f}",
            f"{r.theirs_rate:,.0f}",
            r.extra,
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def by_kind(rows: list[Figure]) -> str:
    """A small table below for each row of several kinds of operation."""
    out = ""
    for r in rows:
        if r.kinds:
            out += f"\n\nLatencies of {r.title}, p50 / p99 ms:\n\n| operation | Pillarbox | peers |\n|---|---|---|"
            for kind, (p50, p99, their_p50, their_p99) in r.kinds.items():
                peers = f"{their_p50:.1f} / {their_p99:.1f}" if their_p50 else ""
                out += f"\n| {kind} | {p50:.1f} / {p99:.1f} | {peers} |"
    return out


def write(rows: list[Figure], folder: Path) -> None:
    """Write results.json, results.md and ratio.png; rows that exist but were not measured now stay as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        kept = [Figure(**row) for row in json.loads((folder / "results.json").read_text()) if row["name"] in WORKLOADS]
        fresh = {row.name: row for row in rows}
        rows = [fresh.pop(row.name, row) for row in kept] + list(fresh.values())
    (folder / "results.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    (folder / "results.md").write_text(
        "# Pillarbox against Postfix + Dovecot\n\n"
        "Server CPU (user + system, whole process tree) per operation, medians; ratio = theirs / ours.\n"
        f"CPython {platform.python_version()}, {platform.system()}; IMAP and POP3 inside TLS on both sides.\n\n"
        f"{table(rows)}{by_kind(rows)}\n"
    )
    _chart([r for r in rows if r.ratio], folder / "ratio.png")


def _chart(rows: list[Figure], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.36 * len(rows) + 1.2))
    rows = rows[::-1]
    bars = axes.barh([r.title for r in rows], [r.ratio for r in rows], color="#2a6f97")
    axes.bar_label(bars, labels=[f" {r.ratio:.1f}×" for r in rows], fontsize=8)
    axes.axvline(1, color="#b23a48", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("times less server CPU than Postfix + Dovecot", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
