"""`pillarbox metrics`: what the running server counts and measures."""

import sys

from pillarbox.cli.place import ConfigFile, DataDirectory


def metrics(*, config: ConfigFile = None, data: DataDirectory = None) -> None:
    """Show what the running server counts and measures, in the text format of Prometheus. To have it fetched by a monitoring
    system, set `metrics.enabled` in the configuration; docs/operations.md explains each metric."""
    from pillarbox.cli.administer import NoServer, by_server
    from pillarbox.cli.place import data_directory
    from pillarbox.cli.problem import LATER, Problem

    directory = data_directory(config, data)
    try:
        sys.stdout.write(by_server(directory, "metrics", {}))
    except NoServer:
        raise Problem(
            f"No server runs on {directory}.",
            "Metrics are counted by a running server.",
            "Start it: pillarbox serve",
            status=LATER,
        ) from None
