"""`pillarbox account`: who has mail here, and with which password."""

from typing import Annotated

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

app = typer.Typer(no_args_is_help=True, help="Accounts: add, list, passwd, disable, enable, remove.")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="For instance anna@example.org.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


@app.command()
def add(
    address: Address,
    *,
    config: ConfigFile = None,
    data: DataDirectory = None,
    password_stdin: FromStdin = False,
    quota: Annotated[int, typer.Option(metavar="MB", min=0, help="Room for mail in megabytes; 0 for no limit.")] = 0,
) -> None:
    """Add an account. Its domain must be one of this server's (pillarbox domain add)."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.password import ask
    from pillarbox.cli.show import say

    perform(config, data, "check_new_account", address=address)
    password = ask(address, from_stdin=password_stdin)
    perform(config, data, "add_account", address=address, password=password.reveal(), quota=quota * 1_000_000)
    say(f"{address} can send and fetch mail now.")


@app.command("list")
def list_(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """List the accounts."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import octets, table

    rows = [
        (
            a["address"],
            "disabled" if a["disabled"] else "active",
            str(a["messages"]),
            octets(a["octets"]),
            octets(a["quota"]) if a["quota"] else "none",
        )
        for a in perform(config, data, "list_accounts")
    ]
    table(
        ["address", "state", "messages", "size", "quota"],
        rows,
        nothing="No accounts yet: pillarbox account add ADDRESS",
    )


@app.command()
def passwd(
    address: Address, *, config: ConfigFile = None, data: DataDirectory = None, password_stdin: FromStdin = False
) -> None:
    """Give an account a new password. Its open sessions are ended."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.password import ask
    from pillarbox.cli.show import say

    perform(config, data, "check_account", address=address)
    password = ask(address, from_stdin=password_stdin)
    perform(config, data, "set_password", address=address, password=password.reveal())
    say(f"{address} has a new password.")


@app.command()
def disable(address: Address, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Refuse log-ins of an account. Its mail is kept, and new mail is still taken for it."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "set_disabled", address=address, disabled=True)
    say(f"{address} cannot log in any more; its mail is kept. Undo: pillarbox account enable {address}")


@app.command()
def enable(address: Address, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Let a disabled account log in again."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "set_disabled", address=address, disabled=False)
    say(f"{address} can log in again.")


@app.command()
def remove(
    address: Address,
    *,
    config: ConfigFile = None,
    data: DataDirectory = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove an account and all of its mail, for good."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import octets, say

    facts = perform(config, data, "check_account", address=address)
    if not yes:
        typer.confirm(
            f"Delete {address} with {facts['messages']} messages ({octets(facts['octets'])}) for good?", abort=True
        )
    perform(config, data, "remove_account", address=address)
    say(f"{address} and its mail are gone.")
