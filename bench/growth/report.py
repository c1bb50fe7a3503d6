"""Curves as charts and as a Markdown table that says their slopes in words."""

import json
import platform
from dataclasses import asdict
from pathlib import Path

from bench.growth.curve import Curve, Promise, Table

_HEAD = """# How cost grows

One server, Pillarbox alone. The slope is the exponent of the power law that fits best, over the whole range, and between
the two largest quantities, where a fixed part hides least: 0 is no growth, 1 linear, 2 quadratic. CPU is that of the server,
user and system, for one operation; a wait is the median that a client saw. "Must not grow" allows a slope of 0.25, "at most
linear" one of 1.15; what stays below a floor that nobody notices (100 µs CPU, 2 ms for a search, 20 ms of waiting) passes.
CPython {version}, {system}. Made by `make bench-growth`; how: [bench/README.md](../README.md).
"""


def _value(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def markdown(tables: list[Table]) -> str:
    """growth.md."""
    parts = [_HEAD.format(version=platform.python_version(), system=platform.system())]
    for table in tables:
        if not table.curves:
            continue
        xs = sorted({x for curve in table.curves.values() for x in curve.points})
        head = ["", *(f"{x:,}" for x in xs), "unit", "slope (at the end)", "in words", "promise"]
        parts.append(f"\n## {table.title}\n\n![{table.title}](growth-{table.name}.png)\n")
        parts.append(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
        for curve in table.curves.values():
            verdict = f"{curve.promise.value}: {'kept' if curve.kept else '**not kept**'}"
            cells = [
                curve.name,
                *(_value(curve.points[x]) if x in curve.points else "" for x in xs),
                curve.unit,
                f"{curve.slope:.2f} ({curve.last_slope:.2f})",
                curve.words,
                verdict,
            ]
            parts.append(f"| {' | '.join(cells)} |")
        parts += [f"\n{note}." for note in table.notes]
    return "\n".join(parts) + "\n"


def write(tables: list[Table], folder: Path) -> None:
    """growth.json, growth.md and a chart for each table; tables that were not measured now stay as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "growth.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for table in tables:
        if table.curves:
            kept[table.name] = {"curves": [asdict(c) for c in table.curves.values()], "notes": table.notes}
            _chart(table, folder / f"growth-{table.name}.png")
        else:
            restore(table, kept.get(table.name, {}))
    path.write_text(json.dumps(kept, indent=1, default=lambda promise: promise.value) + "\n")
    (folder / "growth.md").write_text(markdown(tables))


def restore(table: Table, said: dict[str, list[dict[str, object]]]) -> None:
    """Curves as they were written before."""
    for entry in said.get("curves", []):
        points = entry["points"]
        assert isinstance(points, dict)
        curve = Curve(str(entry["name"]), str(entry["unit"]), Promise(entry["promise"]), float(str(entry["floor"])))
        curve.points = {int(x): float(y) for x, y in points.items()}
        table.curves[curve.name] = curve
    table.notes = [str(note) for note in said.get("notes", [])]


def _chart(table: Table, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    units = list(dict.fromkeys(curve.unit for curve in table.curves.values()))
    figure, axes = pyplot.subplots(1, len(units), figsize=(4.6 * len(units), 4.2), squeeze=False)
    for unit, part in zip(units, axes[0], strict=True):
        for curve in table.curves.values():
            if curve.unit == unit and curve.points:
                xs = sorted(curve.points)
                label = f"{curve.name} ({curve.slope:.2f})"
                part.plot(xs, [curve.points[x] for x in xs], marker="o", markersize=3, linewidth=1.2, label=label)
        part.set_xscale("log")
        part.set_yscale("log")
        part.set_xlabel(table.quantity, fontsize=9)
        part.set_ylabel(unit, fontsize=9)
        part.tick_params(labelsize=8)
        part.legend(fontsize=6, frameon=False)
        part.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{table.title} (slope)", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
