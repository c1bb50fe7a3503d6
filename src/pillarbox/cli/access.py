"""`pillarbox access`: who guesses passwords, and who is to be forgiven."""

from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

app = typer.Typer(no_args_is_help=True, help="Wrong passwords: who is slowed down or refused, and forgiving them.")


@app.command("list")
def list_(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """List wrong passwords that are not yet forgiven, by address block, account, and both."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import ago, table

    rows = [
        (
            entry["block"] or "anywhere",
            entry["account"] or "any account",
            f"{entry['wrong']:.0f}" if entry["wrong"] >= 1 else "<1",
            f"refused for {ago(entry['wait'])}" if entry["wait"] > 0 else "answered late",
        )
        for entry in perform(config, data, "list_suspicions")
    ]
    table(["from", "for", "wrong passwords", "now"], rows, nothing="Nobody has typed a wrong password lately.")


@app.command()
def unban(
    who: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS|ACCOUNT]", help="An IP address (its block), or an account.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Everybody.")] = False,
    config: ConfigFile = None,
    data: DataDirectory = None,
) -> None:
    """Forget the wrong passwords of an IP address's block, of an account, or of everybody."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.problem import WRONG, Problem
    from pillarbox.cli.show import say

    if (who is None) != every:
        raise Problem("Forgive whom?", "", "Name an IP address or an account, or say --all.", status=WRONG)
    number = perform(config, data, "forgive", who=who)
    name = who or "everybody"
    say(f"{name} is forgiven." if number else f"There was nothing to forgive: no wrong password is counted for {name}.")
