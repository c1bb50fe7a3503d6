"""The whole tour: a demo server on free ports, the seven scenes, the summary."""

import ssl
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.panel import Panel

from pillarbox.cli.demo_server import in_background
from pillarbox.cli.tour import retrieval, submission
from pillarbox.cli.tour.eavesdropper import summary
from pillarbox.cli.tour.stage import Stage
from pillarbox.cli.tour.world import World

WIDTH = 108
"""Columns of the picture, and at most of the terminal's text: longer lines are hard to read."""

SCENES: tuple[Callable[[Stage, World], None], ...] = (
    submission.implicit_tls,
    submission.starttls,
    submission.reception,
    retrieval.pop3s,
    retrieval.pop3,
    retrieval.imaps,
    retrieval.imap,
)
"""In this order: each finds what those before it have sent."""


def play(svg: Path | None) -> bool:
    """Run it on standard output, and save it as a picture; returns whether each step held."""
    console = Console(record=svg is not None, highlight=False, width=None)
    if svg is not None or not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    with TemporaryDirectory(prefix="pillarbox-tour-") as directory:
        held = perform(console, Path(directory))
    if svg is not None:
        picture = console.export_svg(title="pillarbox tour")
        # Some programs drop the spaces that align the lines unless they are told not to.
        svg.write_text(picture.replace("<svg ", '<svg xml:space="preserve" ', 1), encoding="utf-8")
    return held


def perform(console: Console, directory: Path) -> bool:
    """The tour itself, with its server's data in `directory`; returns whether each step held."""
    stage = Stage(console)
    console.print(
        Panel(
            "A mail server is running on this machine, just for this tour, and will be gone afterwards. What you see "
            "are real conversations with it: [cyan]C:[/] is what a mail program says, [green]S:[/] what the server "
            "answers.",
            title="[bold]Pillarbox: mail over seven ports[/]",
            border_style="blue",
            padding=(0, 2),
        )
    )
    with in_background(directory) as addresses:
        world = World(addresses, ssl.create_default_context(cafile=str(directory / "ca.pem")))
        for scene in SCENES:
            scene(stage, world)
    summary(stage)
    if stage.held:
        console.print(
            "  [bold green]Each step held.[/] Next: [bold]pillarbox demo[/], and point your mail program at it."
        )
    else:
        console.print("  [bold red]Not each step held:[/] see above. Please report it, with this output.")
    return stage.held
