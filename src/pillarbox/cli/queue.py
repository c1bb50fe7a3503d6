"""`pillarbox queue`: mail that waits to be relayed."""

from typing import Annotated, Any

import typer

from pillarbox.cli.place import ConfigFile, DataDirectory

app = typer.Typer(no_args_is_help=True, help="The queue of outgoing mail: list, retry, hold, release, delete.")

Entry = Annotated[str, typer.Argument(metavar="ID", help="The queue id, as `pillarbox queue list` shows it.")]


def _when(recipient: dict[str, Any], now: float) -> str:
    from pillarbox.cli.show import ago

    if recipient["state"] != "queued":
        return str(recipient["state"])
    wait = recipient["next_attempt"] - now
    return f"next try in {ago(wait)}" if wait > 0 else "due now"


@app.command("list")
def list_(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """List what waits: one row for each recipient."""
    import time

    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import ago, octets, table

    now = time.time()
    rows = [
        (
            entry["id"],
            ago(now - entry["created"]),
            octets(entry["size"]),
            entry["reverse_path"] or "<>",
            recipient["address"],
            _when(recipient, now),
            str(recipient["attempts"]),
            recipient["last_reply"],
        )
        for entry in perform(config, data, "list_queue")
        for recipient in entry["recipients"]
    ]
    table(["id", "age", "size", "from", "to", "state", "tries", "last reply"], rows, nothing="The queue is empty.")


@app.command()
def retry(
    entry: Annotated[str | None, typer.Argument(metavar="[ID]", help="The queue id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    config: ConfigFile = None,
    data: DataDirectory = None,
) -> None:
    """Try again now, instead of at the next planned time."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.problem import WRONG, Problem
    from pillarbox.cli.show import say

    if (entry is None) != every:
        raise Problem("Retry what?", "", "Name one queue id, or say --all.", status=WRONG)
    number = perform(config, data, "retry_queue", entry=entry)
    say(f"{number} recipient{'' if number == 1 else 's'} will be tried now.")


@app.command()
def hold(entry: Entry, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Keep a message in the queue without trying, until it is released."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "hold_queue", entry=entry)
    say(f"{entry} is held. Undo: pillarbox queue release {entry}")


@app.command()
def release(entry: Entry, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Let a held message go on its way."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "release_queue", entry=entry)
    say(f"{entry} will be tried now.")


@app.command()
def delete(entry: Entry, *, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Delete a message from the queue. Nobody is told."""
    from pillarbox.cli.administer import perform
    from pillarbox.cli.show import say

    perform(config, data, "delete_queue", entry=entry)
    say(f"{entry} is deleted.")
