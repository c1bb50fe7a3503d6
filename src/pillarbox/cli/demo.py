"""`pillarbox demo`: a mail server to try, without any configuration."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Keep its data here, and reuse it [a temporary folder]."),
    ] = None,
    port_offset: Annotated[
        int, typer.Option("--port-offset", metavar="N", min=0, max=64540, help="Added to each standard port.")
    ] = 10000,
) -> None:
    """Run a mail server to try: loopback only, accounts ready, nothing leaves the machine. Ctrl-C stops it."""
    import asyncio

    from pillarbox.cli.demo_run import fresh_directory, run

    if data is None:
        data = fresh_directory()
    else:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(run(data.absolute(), port_offset))
