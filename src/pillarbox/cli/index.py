"""`pillarbox index`: the full-text index that makes searches fast; how far it is, and making it anew."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from pillarbox.store.api import Progress

app = typer.Typer(no_args_is_help=True, help="The full-text index for searches: status, rebuild.")

_LOOK = 0.5  # seconds between two looks at how far the server is

AnyAccount = Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="Only this account's mail.")]


@app.command()
def status(account: AnyAccount = None, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """How many messages are in the index, how many wait, and what it takes on the disk. Searches find all of them: what is not
    in the index is read."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import octets, table

    found = perform(config, data, "index_status", address=account)
    numbers = ("messages", "indexed", "waiting", "apart")
    rows = [(a["address"], *(str(a[name]) for name in numbers), "") for a in found["accounts"]]
    if account is None:
        sums = [str(sum(a[name] for a in found["accounts"])) for name in numbers]
        rows.append(("all", *sums, octets(found["octets"])))
    headings = ["account", "messages", "indexed", "waiting", "always read", "on disk"]
    table(headings, rows, nothing="No accounts yet: pillarbox account add ADDRESS")


@app.command()
def rebuild(
    account: AnyAccount = None,
    *,
    config: ConfigFile = None,
    data: DataDirectory = None,
    wait: Annotated[bool, typer.Option(help="Stay until it is done, and show how far it is.")] = True,
) -> None:
    """Make the index anew, of all mail or of one account's. It goes on in the background of a running server, also after a
    restart; mail comes and goes as always, and searches stay right meanwhile: they only take longer."""
    import asyncio

    from pillarbox.cli.administer import NoServer, by_server
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.progress import progress_lines
    from pillarbox.cli.show import say

    directory = data_directory(config, data)
    try:
        with progress_lines("indexing") as progress:
            try:
                by_server(directory, "rebuild_index", {"address": account})
                if not wait:
                    say("The server is making it anew. See: pillarbox index status")
                    return
                _watch(directory, account, progress)
            except NoServer:
                asyncio.run(_alone(directory, account, progress))
    except KeyboardInterrupt:
        say("The rest is indexed in the background while the server runs. See: pillarbox index status")
        raise typer.Exit(130) from None
    say("The index is complete.")


def _watch(directory: "Path", account: str | None, progress: "Progress") -> None:
    """Until the running server is done. Raises Problem."""
    from pillarbox.cli.administer import NoServer, by_server
    from pillarbox.cli.problem import LATER, Problem

    while True:
        try:
            accounts: list[dict[str, Any]] = by_server(directory, "index_status", {"address": account})["accounts"]
        except NoServer:
            raise Problem(
                "The server has stopped.", next_step="The index is completed when it runs again.", status=LATER
            ) from None
        total, waiting = (sum(a[name] for a in accounts) for name in ("messages", "waiting"))
        progress(total - waiting, total)
        if not waiting:
            return
        time.sleep(_LOOK)


async def _alone(directory: "Path", account: str | None, progress: "Progress") -> None:
    """On the store itself, where no server runs."""
    from pillarbox.cli.administer import open_store, perform_on
    from pillarbox.cli.problem import LATER, Problem
    from pillarbox.store.api import StoreError

    async with open_store(directory) as store:
        await perform_on(store, "rebuild_index", {"address": account})
        try:
            await store.indexer.catch_up(progress)
        except StoreError as error:
            raise Problem(f"{str(error).capitalize()}.", status=LATER) from None
