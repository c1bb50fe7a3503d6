"""`pillarbox backup`: a snapshot of everything, beside a running server; and whether it is good."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from pillarbox.cli.place import ConfigFile, DataDirectory


class _MakeUnlessSaid(TyperGroup):
    """`backup DIR` is short for `backup make DIR`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeUnlessSaid,
    no_args_is_help=True,
    help="Backups: `pillarbox backup DIR` makes one, also while the server runs; `backup verify DIR` proves it.",
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with backups.")]


@app.command()
def make(
    folder: Folder,
    *,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, metavar="N", help="Then delete all but the newest N.")
    ] = None,
    config: ConfigFile = None,
    data: DataDirectory = None,
) -> None:
    """Make a backup in DIR of mail, accounts, queue, keys and configuration; what DIR has already is not copied again."""
    from pillarbox.cli.place import configuration_files, data_directory
    from pillarbox.cli.problem import Problem
    from pillarbox.cli.progress import progress_bar
    from pillarbox.cli.show import octets, say
    from pillarbox.store.embedded import manifest
    from pillarbox.store.embedded.backup import back_up
    from pillarbox.store.embedded.manifest import BackupError

    directory = data_directory(config, data)
    also = {} if data is not None else configuration_files(config)
    try:
        with progress_bar("backing up") as progress:
            snapshot = back_up(directory, folder, also=also, keep=keep or 0, progress=progress)
        made = manifest.read(snapshot)
    except BackupError as error:
        raise Problem(f"No backup was made: {error}.") from None
    except OSError as error:
        raise Problem(f"No backup was made: {error}.", "", "The backups that are there already stay.") from None
    size = sum(file.size for file in made.files.values())
    say(f"{snapshot}: {made.counts['accounts']} accounts, {made.counts['messages']} messages, {octets(size)}.")
    for name in made.missing:
        say(f"Segment {name} is missing in the store: run `pillarbox fsck`.")
    if made.missing:
        raise typer.Exit(1)


@app.command()
def verify(folder: Folder) -> None:
    """Restore the newest backup in DIR (or the one that DIR is) into a scratch folder and read every message in it. Exit
    status 1 when something is wrong."""
    import asyncio

    from pillarbox.cli.problem import Problem
    from pillarbox.cli.progress import progress_bar
    from pillarbox.cli.show import say
    from pillarbox.store.embedded import manifest, snapshot
    from pillarbox.store.embedded.manifest import BackupError

    async def problems(meant: Path) -> list[str]:
        with progress_bar("verifying") as progress:
            return [problem async for problem in snapshot.verify(meant, progress=progress)]

    try:
        meant = manifest.find(folder)
        counts = manifest.read(meant).counts
        found = asyncio.run(problems(meant))
    except BackupError as error:
        raise Problem(f"The backup cannot be verified: {error}.") from None
    for problem in found:
        say(f"{problem}.")
    if found:
        say(f"{meant}: {len(found)} problems. Everything else in it is good, and can be restored.")
        raise typer.Exit(1)
    say(f"{meant} is good: {counts['accounts']} accounts, {counts['messages']} messages.")
