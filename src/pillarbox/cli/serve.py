"""`pillarbox serve`: the real thing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pillarbox.server.assembly import Server


def serve(
    *,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration, TOML.")],
    transcript: Annotated[
        Path | None,
        typer.Option("--transcript", metavar="DIR", help="Write each connection's dialogue there, secrets redacted."),
    ] = None,
) -> None:
    """Run the server. SIGHUP reloads certificates and accounts; SIGTERM and Ctrl-C finish the work at hand and stop."""
    from pillarbox.cli.load import load_config
    from pillarbox.cli.problem import LATER, Problem
    from pillarbox.net.listener import BindError
    from pillarbox.server.assembly import StartError
    from pillarbox.server.config import load
    from pillarbox.server.lifecycle import run

    settings = load_config(config)
    try:
        run(settings, transcript=transcript, ready=_say_loudly, reread=lambda: load(config))
    except (BindError, StartError) as error:
        raise Problem("The server cannot start.", f"{error}.", status=LATER) from None


def _say_loudly(server: "Server") -> None:
    """What to do about a certificate that nobody knows."""
    if server.certificate_authority is None:
        return
    from rich.console import Console
    from rich.panel import Panel

    Console(stderr=True, highlight=False).print(
        Panel(
            "This server uses a certificate of its own making. Mail programs will warn, and other people's phones will "
            f"refuse it.\n\nFor a trial: let them trust {server.certificate_authority}\n"
            "For real use: get a certificate for the server's name (for instance from Let's Encrypt, with certbot) and "
            "set tls.certificate and tls.key.",
            title="[bold]Nobody knows this server's certificate[/]",
            border_style="yellow",
        )
    )
