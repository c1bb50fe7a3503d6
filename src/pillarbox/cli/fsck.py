"""`pillarbox fsck`: is the store sound?"""

from typing import TYPE_CHECKING, Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

if TYPE_CHECKING:
    from pathlib import Path

_LOOK = 0.3  # seconds between two looks at how far the server is

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

    from pillarbox.cli.administer import NoServer
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.show import say

    directory = data_directory(config, data)
    try:
        problems = _by_server(directory, repair=repair)
        for problem in problems:
            say(f"{problem}.")
    except NoServer:
        _make_index_anew_if_needed(directory, repair=repair)
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


def _by_server(directory: "Path", *, repair: bool) -> list[str]:
    """Have the running server do it, with a progress bar on a terminal. Raises NoServer, Problem."""
    from concurrent.futures import Future
    from threading import Thread

    from pillarbox.cli.administer import NoServer, by_server
    from pillarbox.cli.problem import Problem
    from pillarbox.cli.progress import progress_bar

    done: Future[list[str]] = Future()

    def ask() -> None:
        try:
            done.set_result(by_server(directory, "check_store", {"repair": repair}, patience=PATIENCE))
        except BaseException as error:
            done.set_exception(error)

    Thread(target=ask, daemon=True).start()  # a daemon: Ctrl-C must not wait for it
    with progress_bar("checking messages") as progress:
        while True:
            try:
                return done.result(_LOOK)
            except TimeoutError:
                if done.done():
                    raise
            try:
                if (far := by_server(directory, "check_progress", {})) is not None:
                    progress(*far)
            except (NoServer, Problem):
                pass  # an older server, or one that ends: the other answer says so


def _make_index_anew_if_needed(directory: "Path", *, repair: bool) -> None:
    """A store without a readable index cannot be opened; its segments suffice to make one."""
    import asyncio
    import time

    from pillarbox.cli.problem import LATER, Problem
    from pillarbox.cli.progress import progress_bar
    from pillarbox.cli.show import say
    from pillarbox.store.api import StoreError
    from pillarbox.store.embedded.rebuild import damage, rebuild

    what = damage(directory)
    if not what:
        return
    if not repair:
        raise Problem(
            f"{what[0].upper()}{what[1:]}.",
            "No mail is lost: it is in the segments, and says where it belongs.",
            "Restore a backup: it has all flags, folders and UIDs. Without one: pillarbox fsck --repair",
        )
    try:
        with progress_bar("making a new index") as progress:
            made = asyncio.run(rebuild(directory, progress=progress))
    except (StoreError, OSError) as error:
        raise Problem(f"No new index could be made: {error}.", "The old one is where it was.", status=LATER) from None
    say(f"{what}: a new one was made of the segments, with {made.messages} messages of {made.accounts} accounts.")
    if made.lost:
        say(f"{made.lost} messages belong to nobody who is known: they are in lost+found of the postmaster.")
    for problem in made.unreadable:
        say(f"{problem}.")
    for address in made.closed:
        say(f"{address} needs a password: pillarbox account passwd {address}")
    if made.placed is None:
        say(
            "Flags are those at delivery, moved messages are where they came first, and deleted ones may be there again."
        )
    else:
        say(
            f"Mailboxes and flags are as they were at {time.strftime('%Y-%m-%d %H:%M', time.localtime(made.placed))}; what was "
            "delivered later is where it came first, and what was deleted later may be there again."
        )
    if made.broken is not None:
        say(f"The broken index is kept: {made.broken}")


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
