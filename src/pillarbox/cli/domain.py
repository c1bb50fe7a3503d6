"""`pillarbox domain`: whose mail this server takes."""

from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

app = typer.Typer(no_args_is_help=True, help="Domains whose mail this server keeps: add, list, remove.")

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="For instance example.org.")]


@app.command()
def add(domain: Domain, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Take mail for a domain."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "add_domain", domain=domain)
    say(f"Mail for {domain} is taken now. Next: pillarbox account add someone@{domain}")


@app.command("list")
def list_(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """List the domains."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import table

    rows = [(d["domain"], str(d["accounts"]), str(d["aliases"])) for d in perform(config, data, "list_domains")]
    table(["domain", "accounts", "aliases"], rows, nothing="No domains yet: pillarbox domain add DOMAIN")


@app.command()
def remove(domain: Domain, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Stop taking mail for a domain. Refused while accounts or aliases use it."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "remove_domain", domain=domain)
    say(f"Mail for {domain} is not taken any more.")
