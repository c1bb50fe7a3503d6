"""Carrying out an administrative verb: by the running server if there is one, else on its store directly.

A running server listens on a socket in its data directory. Without one, the store is opened here; its lock guarantees
that there is one writer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pillarbox.cli.place import data_directory
from pillarbox.cli.problem import LATER, REFUSED, Problem

if TYPE_CHECKING:
    from pillarbox.store.embedded import EmbeddedStore

PATIENCE = 120.0
"""Seconds that a running server may take: removing an account with much mail is not done at once."""


class NoServer(Exception):
    """No server runs on the data directory."""


def perform(config: Path | None, data: Path | None, verb: str, /, **arguments: Any) -> Any:
    """Carry out one verb of `pillarbox.server.administration`; Problem when it was refused."""
    directory = data_directory(config, data)
    try:
        return by_server(directory, verb, arguments)
    except NoServer:
        return asyncio.run(on_store(directory, verb, arguments))


def by_server(directory: Path, verb: str, arguments: dict[str, Any], *, patience: float = PATIENCE) -> Any:
    """Have the running server do it. Raises NoServer, Problem."""
    from pillarbox.server.control import NAME, ControlError, call

    try:
        return call(directory / NAME, verb, arguments, patience=patience)
    except (ConnectionRefusedError, FileNotFoundError):  # it ended, or was killed
        raise NoServer from None
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


@asynccontextmanager
async def open_store(directory: Path) -> "AsyncIterator[EmbeddedStore]":
    """The store in a data directory where no server runs; Problem when it cannot be opened."""
    from pillarbox.store.api import StoreError
    from pillarbox.store.embedded import EmbeddedStore

    try:
        store = await EmbeddedStore.open(directory)
    except StoreError as error:
        raise Problem(f"The store in {directory} cannot be opened: {error}.", status=LATER) from None
    except PermissionError:
        raise Problem(
            f"The store in {directory} does not belong to you.",
            next_step="Run the command as the user that the server runs as, for instance with sudo -u.",
        ) from None
    try:
        yield store
    finally:
        await store.close()


async def on_store(directory: Path, verb: str, arguments: dict[str, Any]) -> Any:
    """Carry it out on the store itself, where no server runs. Raises Problem."""
    async with open_store(directory) as store:
        return await perform_on(store, verb, arguments)


async def perform_on(store: "EmbeddedStore", verb: str, arguments: dict[str, Any]) -> Any:
    """Carry it out on an open store. Raises Problem."""
    from pillarbox.server.administration import Administration, Refusal

    try:
        return await Administration(store).perform(verb, arguments)
    except Refusal as refusal:
        raise _problem(refusal.text, refusal.advice, later=refusal.later) from None
