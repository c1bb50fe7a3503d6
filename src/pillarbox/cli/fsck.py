"""`pillarbox fsck`: is the store sound?"""

from typing import TYPE_CHECKING, Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 86400.0
"""Seconds for a running server to read all mail that it has."""


def fsck(
    *,
    config: ConfigFile = None,
    data: DataDirectory = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended. No mail is deleted.")] = False,
) -> None:
    """Check the whole store, octet by octet, also while the server runs. Exit status 1 when something is wrong."""
    import asyncio

    from pillarbox.cli.administer import NoServer, by_server
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.show import say

    directory = data_directory(config, data)
    try:
        problems = by_server(directory, "check_store", {"repair": repair}, patience=PATIENCE)
        for problem in problems:
            say(f"{problem}.")
    except NoServer:
        problems = asyncio.run(_alone(directory, repair=repair))
    if not problems:
        say("The store is sound.")
        return
    left = sum(not problem.endswith(": repaired") for problem in problems)
    if left and not repair:
        say(f"{len(problems)} problems. `pillarbox fsck --repair` mends what can be mended, and deletes no mail.")
    elif left:
        say(f"{len(problems)} problems, {left} of them are still there.")
    else:
        say(f"{len(problems)} problems, all repaired.")
    raise typer.Exit(1 if left else 0)


async def _alone(directory: "Path", *, repair: bool) -> list[str]:
    """Open the store and check it, with a progress bar on a terminal; problems are said as they are found."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pillarbox.cli.administer import open_store

    problems = []
    columns = (TextColumn("checking messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("checking", total=None)
        async with open_store(directory) as store:

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            async for problem in store.check.problems(repair=repair, progress=progress):
                problems.append(problem)
                Console(soft_wrap=True).print(f"{problem}.", markup=False, highlight=False)
    return problems
