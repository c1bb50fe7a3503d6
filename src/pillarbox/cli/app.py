"""The `pillarbox` command: its groups put together, and the one place where errors become sentences."""

import sys
from typing import Annotated

import typer

from pillarbox import __version__
from pillarbox.cli import (
    access,
    account,
    alias,
    backup,
    configuration,
    demo,
    domain,
    fsck,
    index,
    metrics,
    queue,
    restore,
    serve,
    tour,
)
from pillarbox.cli.problem import Problem, show

app = typer.Typer(
    name="pillarbox",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Pillarbox, a complete mail server. New here? Type [bold]pillarbox tour[/], then [bold]pillarbox demo[/].",
    rich_markup_mode="rich",
)
app.command(rich_help_panel="First steps")(tour.tour)
app.command(rich_help_panel="First steps")(demo.demo)
app.command(rich_help_panel="Running a server")(serve.serve)
app.add_typer(configuration.app, name="config", rich_help_panel="Running a server")
app.command(rich_help_panel="Running a server")(fsck.fsck)
app.add_typer(backup.app, name="backup", rich_help_panel="Running a server")
app.command(rich_help_panel="Running a server")(restore.restore)
app.command(rich_help_panel="Running a server")(metrics.metrics)
app.add_typer(index.app, name="index", rich_help_panel="Running a server")
app.add_typer(access.app, name="access", rich_help_panel="Running a server")
app.add_typer(domain.app, name="domain", rich_help_panel="Whose mail it keeps")
app.add_typer(account.app, name="account", rich_help_panel="Whose mail it keeps")
app.add_typer(alias.app, name="alias", rich_help_panel="Whose mail it keeps")
app.add_typer(queue.app, name="queue", rich_help_panel="Mail on its way out")


def _version(asked: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if asked:
        sys.stdout.write(f"pillarbox {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """Options that belong to no command."""


def run() -> None:
    """Run the command line; exit statuses are those of `pillarbox.cli.problem`."""
    try:
        app(prog_name="pillarbox")
    except Problem as problem:
        show(problem)
        sys.exit(problem.status)
    except BrokenPipeError:  # `pillarbox account list | head`
        sys.stderr.close()
        sys.exit(0)
