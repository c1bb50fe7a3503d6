"""Reading a configuration for a command: mistakes become a Problem."""

from pathlib import Path

from pillarbox.cli.problem import WRONG, Problem
from pillarbox.server.config import ConfigError, load
from pillarbox.server.settings import Config


def load_config(file: Path) -> Config:
    """The configuration in `file`; Problem when there is none or it is wrong."""
    try:
        return load(file)
    except ConfigError as error:
        raise Problem(f"{error.text}.", next_step=error.advice, status=WRONG) from None
