"""`pillarbox alias`: addresses that lead to other addresses, and catch-alls."""

from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

app = typer.Typer(
    no_args_is_help=True,
    help="Aliases: add, list, remove. @DOMAIN is the catch-all of a domain. user+tag@ reaches user@ without any alias.",
)

Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="For instance office@example.org, or @example.org.")]


@app.command()
def add(
    alias: Alias,
    targets: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Where its mail goes.")],
    *,
    config: ConfigFile = None,
    data: DataDirectory = None,
) -> None:
    """Send mail for an alias to one or more addresses."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "add_alias", address=alias, targets=targets)
    say(f"Mail for {alias} goes to {', '.join(targets)} now.")


@app.command("list")
def list_(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """List the aliases."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import table

    rows = [(a["address"], ", ".join(a["targets"])) for a in perform(config, data, "list_aliases")]
    table(["alias", "goes to"], rows, nothing="No aliases yet: pillarbox alias add ALIAS ADDRESS")


@app.command()
def remove(alias: Alias, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Remove an alias."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "remove_alias", address=alias)
    say(f"{alias} is gone.")
