"""The server of the demo and the tour: what it is configured as, and the accounts that it has."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pillarbox.server.config import Config
from pillarbox.server.settings import Listener, Listeners, Log, Relay, Submission, Tls

if TYPE_CHECKING:
    from pillarbox.server.assembly import Server

DOMAIN = "example.test"  # reserved for such purposes, RFC 6761 §6.2
PEOPLE = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")
WORLD = f"world@{DOMAIN}"
"""Gets what would leave the machine."""

PASSWORD = "pillarbox"  # noqa: S105  (everyone may know it: the server listens on loopback only)
HOST_NAME = f"mail.{DOMAIN}"

PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993}
IMPLICIT = {"submissions", "pop3s", "imaps"}


def demo_config(directory: Path, offset: int | None, *, log_level: str = "info") -> Config:
    """Standard ports moved by `offset` (None: any free ones), on loopback, with its data in `directory`."""
    listeners = {
        name: Listener(
            0 if offset is None else port + offset,
            host="localhost",
            security="implicit" if name in IMPLICIT else "starttls",
        )
        for name, port in PORTS.items()
    }
    return Config(
        host_name=HOST_NAME,
        data=str(directory),
        domains=[DOMAIN],
        postmaster=PEOPLE[0],
        listeners=Listeners(**listeners),
        tls=Tls(local_names=["localhost", "127.0.0.1", "::1"]),
        submission=Submission(recipients_per_hour=0, recipients_per_day=0),  # nothing leaves, nobody is bothered
        relay=Relay(everything_to=WORLD),
        log=Log(level=log_level),  # type: ignore[arg-type]
    )


async def demo_server(directory: Path, offset: int | None, *, log_level: str = "warning") -> "Server":
    """The server, not yet started, on a store that has Alice, Bob and World: from the last time, or new."""
    from pillarbox.access.passwords import hash_password
    from pillarbox.sasl.secret import Secret
    from pillarbox.server.assembly import Server
    from pillarbox.store.embedded import EmbeddedStore

    store = await EmbeddedStore.open(directory)
    people = store.directory
    if not await people.is_local(DOMAIN):
        await people.add_domain(DOMAIN)
    missing = [a for a in (*PEOPLE, WORLD) if await people.account(a) is None]
    hashes = await asyncio.gather(*(asyncio.to_thread(hash_password, Secret(PASSWORD)) for _ in missing))
    for address, hashed in zip(missing, hashes, strict=True):
        await people.add_account(address, hashed)
    return Server(demo_config(directory, offset, log_level=log_level), store=store)


@contextmanager
def in_background(directory: Path) -> Iterator[Mapping[str, tuple[str, int]]]:
    """A demo server on free ports in a thread of its own; gives each listener's address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    async def start() -> "Server":
        server = await demo_server(directory, None)
        await server.start()
        return server

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result()
        try:
            yield server.addresses
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
