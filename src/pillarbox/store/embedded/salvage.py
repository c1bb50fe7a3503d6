"""What can still be read of a broken index besides mail: domains, accounts with their passwords, aliases."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from pillarbox.store.api import Account, Alias, PasswordHashes, StoreError
from pillarbox.store.embedded import state
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.store import EmbeddedStore

AROUND_INDEX = ("", "-wal", "-shm")
"""Endings of the files that are the index."""


@dataclass(slots=True)
class Salvage:
    """`complete`: the accounts are all there were. `uidvalidity`: the greatest one that was ever given, if known."""

    domains: list[str] = field(default_factory=list)
    accounts: list[tuple[Account, PasswordHashes]] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    complete: bool = False
    uidvalidity: int = 0

    async def put_into(self, store: EmbeddedStore) -> None:
        """Make these in a new store, which may have some of it as it was earlier; what cannot be is left out."""
        for domain in self.domains:
            with suppress(StoreError, ValueError):
                await store.directory.add_domain(domain)
        for account, hashes in self.accounts:
            with suppress(StoreError, ValueError):
                made = await store.directory.account(account.address)
                if made is not None and made.id != account.id:  # removed since, and made again
                    await store.directory.remove_account(made.id)
                    made = None
                if made is None:
                    made = await store.directory.add_account(account.address, hashes, quota=account.quota)
                else:
                    await store.directory.set_hashes(made.id, hashes)
                await store.directory.set_disabled(made.id, disabled=account.disabled)
        if self.complete:
            addresses = {account.address for account, _ in self.accounts}
            for account in await store.directory.accounts():
                if account.address not in addresses:  # removed since
                    await store.directory.remove_account(account.id)
        for alias in self.aliases:
            with suppress(StoreError, ValueError):
                if await store.directory.alias(alias.address) is not None:
                    await store.directory.remove_alias(alias.address)
                await store.directory.add_alias(alias)


def salvage(directory: Path, scratch: Path) -> Salvage:
    """Read a copy of the index, made in a scratch folder. Raises OSError."""
    copy = scratch / "broken"
    copy.mkdir(mode=0o700)
    for ending in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(directory / f"{INDEX_FILE}{ending}", copy / f"{INDEX_FILE}{ending}")
    found = Salvage()
    try:
        index = apsw.Connection(str(copy / INDEX_FILE))
    except apsw.Error:
        return found

    def domains() -> None:
        found.domains += [name for (name,) in index.execute("SELECT name FROM domains")]

    def accounts() -> None:
        known = state.State(lambda: 0.0)
        state.load_accounts(index, known)
        found.accounts += [(owner.account, owner.hashes) for owner in known.owners.values()]
        found.complete = True

    def aliases() -> None:
        known = state.State(lambda: 0.0)
        state.load_aliases(index, known)
        found.aliases += known.aliases.values()

    def counters() -> None:
        found.uidvalidity = int(index.execute("SELECT value FROM counters WHERE name = 'uidvalidity'").get or 0)

    readers: tuple[Callable[[], None], ...] = (domains, accounts, aliases, counters)
    for read in readers:
        with suppress(apsw.Error, ValueError, TypeError):
            read()
    index.close()
    return found
