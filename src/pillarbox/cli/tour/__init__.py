"""`pillarbox tour`: the first five minutes. Real conversations with a real server, explained line by line."""

from pathlib import Path
from typing import Annotated

import typer


def tour(
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Also save it as a picture.")] = None,
) -> None:
    """See mail being sent and fetched over all seven ports, line by line, and what an eavesdropper would see."""
    from pillarbox.cli.tour.performance import play

    if not play(svg):
        raise typer.Exit(1)
