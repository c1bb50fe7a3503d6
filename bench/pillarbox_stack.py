"""Pillarbox as `pillarbox serve` starts it, on its embedded default."""

from pathlib import Path

from bench.stack import Stack


class Pillarbox(Stack):
    """To be filled once the command line stands."""

    name = "Pillarbox"

    def __init__(self, directory: Path, accounts: int) -> None:
        self.directory, self.accounts = directory, accounts
