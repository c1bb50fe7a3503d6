"""Carrying out an administrative verb: by the running server if there is one, else on its store directly.

A running server listens on a socket in its data directory. Without one, the store is opened here; its lock guarantees
that there is one writer.
"""

import asyncio
from pathlib import Path
from typing import Any

from pillarbox.cli.place import data_directory
from pillarbox.cli.problem import LATER, REFUSED, Problem


def perform(config: Path | None, data: Path | None, verb: str, /, **arguments: Any) -> Any:
    """Carry out one verb of `pillarbox.server.administration`; Problem when it was refused."""
    from pillarbox.server.control import NAME, ControlError, call

    directory = data_directory(config, data)
    try:
        return call(directory / NAME, verb, arguments)
    except (ConnectionRefusedError, FileNotFoundError):  # no server runs, or one was killed
        return asyncio.run(_on_store(directory, verb, arguments))
    except ControlError as error:
        raise _problem(error.text, error.advice, later=error.later) from None
    except PermissionError:
        raise Problem(
            f"The server on {directory} does not let you in.",
            "Only the user it runs as, and root, may administer it.",
            "Run the command as that user, for instance with sudo -u.",
        ) from None
    except OSError as error:
        raise Problem(
            f"The server on {directory} does not answer: {error or type(error).__name__}.", status=LATER
        ) from None


def _problem(text: str, advice: str, *, later: bool) -> Problem:
    return Problem(text, next_step=advice, status=LATER if later else REFUSED)


async def _on_store(directory: Path, verb: str, arguments: dict[str, Any]) -> Any:
    from pillarbox.server.administration import Administration, Refusal
    from pillarbox.store.api import StoreError
    from pillarbox.store.embedded import EmbeddedStore

    try:
        store = await EmbeddedStore.open(directory)
    except StoreError as error:
        raise Problem(f"The store in {directory} cannot be opened: {error}", status=LATER) from None
    try:
        return await Administration(store).perform(verb, arguments)
    except Refusal as refusal:
        raise _problem(refusal.text, refusal.advice, later=refusal.later) from None
    finally:
        await store.close()
