"""How far long work is: a bar on a terminal; elsewhere nothing, or a line now and then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pillarbox.store.api import Progress


@contextmanager
def progress_bar(what: str) -> Iterator["Progress"]:
    """Shows how far work is while the block runs; call what it gives with what is done and all there is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def progress_lines(what: str) -> Iterator["Progress"]:
    """A progress bar on a terminal; elsewhere a plain line on standard error for each tenth of the work."""
    import sys

    if sys.stderr.isatty():
        with progress_bar(what) as progress:
            yield progress
        return
    told = -1

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = done * 10 // total if total else 10
        if tenth > told:
            told = tenth
            sys.stderr.write(f"{what}: {done} of {total}\n")

    yield tell
