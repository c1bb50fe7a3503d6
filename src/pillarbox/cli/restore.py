"""`pillarbox restore`: mail back from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with backups (the newest is meant), or one backup.")
    ],
    *,
    config: ConfigFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data directory, instead of --config.")
    ] = None,
) -> None:
    """Restore a whole server into an empty data directory: UIDs and UIDVALIDITY stay, so mail programs notice nothing."""
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.problem import Problem
    from pillarbox.cli.progress import progress_bar
    from pillarbox.cli.show import say
    from pillarbox.store.embedded import manifest, snapshot
    from pillarbox.store.embedded.manifest import BackupError

    directory = data or data_directory(config, None)
    try:
        meant = manifest.find(folder)
        counts = manifest.read(meant).counts
        with progress_bar("restoring") as progress:
            damaged = snapshot.restore(meant, directory, progress=progress)
    except BackupError as error:
        raise Problem(f"Nothing was restored: {error}.") from None
    except OSError as error:
        raise Problem(f"Nothing was restored: {error}.") from None
    say(f"{directory} is as {meant.name}: {counts['accounts']} accounts, {counts['messages']} messages.")
    if (directory / "restored-config").is_dir():
        say(f"The configuration is in {directory / 'restored-config'}: put it where it belongs.")
    for problem in damaged:
        say(f"{problem}.")
    if damaged:
        say("What is damaged in the backup is damaged now, too: run `pillarbox fsck --repair`.")
        raise typer.Exit(1)
