"""Where a command finds the server's data: `--data DIR`, or the data directory that a configuration file names."""

from pathlib import Path
from typing import Annotated

import typer

from pillarbox.cli.problem import WRONG, Problem

DEFAULT_CONFIGS = (Path("pillarbox.toml"), Path("/etc/pillarbox/pillarbox.toml"))
"""Looked for in this order when neither option is given."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The server's configuration [./pillarbox.toml, /etc/pillarbox/pillarbox.toml]."
    ),
]
DataDirectory = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The server's data directory, instead of --config.")
]


def data_directory(config: Path | None, data: Path | None) -> Path:
    """The data directory meant by the two options; Problem when there is none."""
    if data is not None:
        if not data.is_dir():
            raise Problem(
                f"There is no directory {data}.",
                "--data names the data directory of a server, and that makes it when it first starts.",
                "Start the server first (pillarbox serve, pillarbox demo --data DIR), or correct the path.",
                status=WRONG,
            )
        return data
    file = _configuration(config)
    if file is None:
        raise Problem(
            "Which server is meant?",
            f"There is neither {' nor '.join(map(str, DEFAULT_CONFIGS))}.",
            "Name its configuration with --config FILE, or its data directory with --data DIR.",
            status=WRONG,
        )
    from pillarbox.cli.load import load_config

    return Path(load_config(file).data)


def configuration_files(config: Path | None) -> dict[str, Path]:
    """The configuration file and the files that it names, by the names they get in a backup."""
    from pillarbox.cli.load import load_config

    file = _configuration(config)
    if file is None:
        return {}
    settings = load_config(file)
    named: dict[str, Path | str] = {"pillarbox.toml": file}
    named |= {"certificate.pem": settings.tls.certificate, "key.pem": settings.tls.key}
    for number, smarthost in enumerate((settings.relay.smarthost, *settings.relay.routes)):
        named[f"smarthost-{number}.password"] = smarthost.password_file
    return {name: Path(path) for name, path in named.items() if path}


def _configuration(config: Path | None) -> Path | None:
    return config or next((f for f in DEFAULT_CONFIGS if f.is_file()), None)
