"""`pillarbox restore`: mail back from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile

PATIENCE = 86400.0
"""Seconds for a running server to bring all mail of an account back."""


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with backups (the newest is meant), or one backup.")
    ],
    *,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ADDRESS", help="Only the mail of this account; it is added.")
    ] = None,
    mailbox: Annotated[str | None, typer.Option("--mailbox", metavar="NAME", help="Only this mailbox of it.")] = None,
    config: ConfigFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data directory, instead of --config.")
    ] = None,
) -> None:
    """Restore a whole server into an empty data directory; or add the mail of one account, also while the server runs."""
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.problem import WRONG, Problem
    from pillarbox.cli.progress import progress_bar
    from pillarbox.cli.show import say
    from pillarbox.store.embedded import manifest, snapshot
    from pillarbox.store.embedded.manifest import BackupError

    if account is not None:
        _add(folder, data_directory(config, data), account, mailbox)
        return
    if mailbox is not None:
        raise Problem("Whose mailbox?", "", "Name the account with --account.", status=WRONG)
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


def _add(folder: Path, directory: Path, account: str, mailbox: str | None) -> None:
    """Bring mail of one account back, by the running server if there is one."""
    import asyncio

    from pillarbox.cli.administer import NoServer, by_server, on_store
    from pillarbox.cli.problem import Problem
    from pillarbox.cli.show import say
    from pillarbox.store.embedded import manifest

    try:
        meant = manifest.find(folder).resolve()
    except manifest.BackupError as error:
        raise Problem(f"Nothing was restored: {error}.") from None
    arguments = {"snapshot": str(meant), "address": account, "mailbox": mailbox}
    try:
        restored = by_server(directory, "restore_mail", arguments, patience=PATIENCE)
    except NoServer:
        restored = asyncio.run(on_store(directory, "restore_mail", arguments))
    say(f"{account}: {restored['added']} messages restored, {restored['present']} were there already.")
    for problem in restored["unreadable"]:
        say(f"{problem}.")
    if restored["unreadable"]:
        raise typer.Exit(1)
