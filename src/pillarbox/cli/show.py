"""Tables and numbers on a terminal; plain tab-separated lines when piped."""

import sys
from collections.abc import Iterable, Sequence


def say(text: str) -> None:
    """One plain line for people on standard output."""
    sys.stdout.write(text + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str) -> None:
    """Rows under headings; `nothing` is said (to standard error, when piped) where there are none."""
    rows = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            say("\t".join(row))
        return
    if not rows:
        say(nothing)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(*headings, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(grid)


def octets(number: int) -> str:
    """A size as people say it: 0 B, 12.3 kB, 4.0 GB."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{number} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def ago(seconds: float) -> str:
    """A span of time as people say it: 5 s, 12 min, 3 h, 2 d."""
    seconds = abs(seconds)
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
