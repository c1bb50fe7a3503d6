"""The directory: in memory for look-ups, in the index for good. See `store.api.Directory` for what each method means."""

from dataclasses import replace

from pillarbox.mail.address import normalise_domain
from pillarbox.store.api import (
    DEFAULT_MAILBOXES,
    Account,
    Alias,
    AlreadyExists,
    NotFound,
    PasswordHashes,
    StoreError,
)
from pillarbox.store.changes import AccountClosed
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.mailboxes import stage_mailbox
from pillarbox.store.embedded.state import Owner, State
from pillarbox.store.embedded.writer import Writer
from pillarbox.store.names import address_key, lookup_domain, lookup_key


class EmbeddedDirectory:
    """Implements `store.api.Directory`."""

    def __init__(self, state: State, writer: Writer) -> None:
        self._state = state
        self._writer = writer

    async def domains(self) -> list[str]:
        return sorted(self._state.domains)

    async def add_domain(self, domain: str) -> None:
        domain = normalise_domain(domain)

        def plan(batch: Batch) -> None:
            batch.change_directory()
            if domain in self._state.domains:
                raise AlreadyExists(f"the domain {domain} exists already")
            batch.execute("INSERT INTO domains VALUES (?)", (domain,))
            batch.then(lambda: self._state.domains.add(domain))

        await self._writer.do(plan)

    async def remove_domain(self, domain: str) -> None:
        domain = lookup_domain(domain)

        def plan(batch: Batch) -> None:
            batch.change_directory()
            if domain not in self._state.domains:
                raise NotFound(f"the domain {domain} is not one of this server's")
            if any(key.rpartition("@")[2] == domain for key in [*self._state.keys, *self._state.aliases]):
                raise StoreError(f"{domain} still has accounts or aliases: remove them first")
            batch.execute("DELETE FROM domains WHERE name = ?", (domain,))
            batch.then(lambda: self._state.domains.discard(domain))

        await self._writer.do(plan)

    async def is_local(self, domain: str) -> bool:
        return lookup_domain(domain) in self._state.domains

    async def accounts(self) -> list[Account]:
        return sorted((owner.account for owner in self._state.owners.values()), key=lambda a: a.address)

    async def account(self, address: str) -> Account | None:
        owner = self._state.keys.get(lookup_key(address))
        return None if owner is None else owner.account

    async def account_by_id(self, account: int) -> Account | None:
        owner = self._state.owners.get(account)
        return None if owner is None else owner.account

    async def hashes(self, account: int) -> PasswordHashes | None:
        owner = self._state.owners.get(account)
        return None if owner is None else owner.hashes

    async def add_account(self, address: str, hashes: PasswordHashes, *, quota: int = 0) -> Account:
        return await self._writer.do(lambda batch: self._plan_account(batch, address, hashes, quota))

    async def set_hashes(self, account: int, hashes: PasswordHashes) -> None:
        def plan(batch: Batch) -> None:
            batch.change_directory()
            owner = self._state.owner(account)
            scram = hashes.scram
            batch.execute(
                "UPDATE accounts SET argon2 = ?, scram_salt = ?, scram_iterations = ?, scram_stored_key = ?, "
                "scram_server_key = ? WHERE id = ?",
                (hashes.argon2, scram.salt, scram.iterations, scram.stored_key, scram.server_key, account),
            )
            batch.then(lambda: setattr(owner, "hashes", hashes))
            batch.publish(AccountClosed(account))

        await self._writer.do(plan)

    async def set_disabled(self, account: int, *, disabled: bool) -> None:
        def plan(batch: Batch) -> None:
            batch.change_directory()
            owner = self._state.owner(account)
            batch.execute("UPDATE accounts SET disabled = ? WHERE id = ?", (int(disabled), account))
            batch.then(lambda: setattr(owner, "account", replace(owner.account, disabled=disabled)))
            if disabled:
                batch.publish(AccountClosed(account))

        await self._writer.do(plan)

    async def remove_account(self, account: int) -> None:
        await self._writer.do(lambda batch: self._plan_removal(batch, account))

    async def aliases(self) -> list[Alias]:
        return [alias for _, alias in sorted(self._state.aliases.items())]

    async def alias(self, address: str) -> Alias | None:
        return self._state.aliases.get(lookup_key(address))

    async def add_alias(self, alias: Alias) -> None:
        def plan(batch: Batch) -> None:
            batch.change_directory()
            key = self._free_key(alias.address)
            batch.execute("INSERT INTO aliases VALUES (?, ?, ?)", (key, alias.address, "\n".join(alias.targets)))
            batch.then(lambda: self._state.aliases.update({key: alias}))

        await self._writer.do(plan)

    async def remove_alias(self, address: str) -> None:
        key = lookup_key(address)

        def plan(batch: Batch) -> None:
            batch.change_directory()
            if key not in self._state.aliases:
                raise NotFound(f"there is no alias {address}")
            batch.execute("DELETE FROM aliases WHERE key = ?", (key,))
            batch.then(lambda: self._state.aliases.__delitem__(key))

        await self._writer.do(plan)

    def _plan_account(self, batch: Batch, address: str, hashes: PasswordHashes, quota: int) -> Account:
        batch.change_directory()
        state = self._state
        key = self._free_key(address)
        account = Account(state.next("account"), address, quota=quota, created=int(state.clock()))
        owner = Owner(account, key, hashes)
        scram = hashes.scram
        batch.count("account")
        batch.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, 1)",
            (
                account.id, key, address, quota, account.created, hashes.argon2, scram.salt, scram.iterations,
                scram.stored_key, scram.server_key,
            ),
        )  # fmt: skip
        for name, special_use in DEFAULT_MAILBOXES.items():
            stage_mailbox(batch, owner, name, special_use)
            batch.execute("INSERT INTO subscriptions VALUES (?, ?)", (account.id, name))

        def settled() -> None:
            owner.subscriptions.update(DEFAULT_MAILBOXES)
            state.owners[account.id] = state.keys[key] = owner

        batch.then(settled)
        return account

    def _plan_removal(self, batch: Batch, account: int) -> None:
        batch.change_directory()
        owner = batch.restructure(account).owner
        mine = "(SELECT id FROM mailboxes WHERE account = ?)"
        batch.execute(f"INSERT INTO deleted_mailboxes SELECT id FROM mailboxes WHERE id IN {mine}", (account,))
        for table in ("states", "changes", "expunges"):
            batch.execute(f"DELETE FROM {table} WHERE mailbox IN {mine}", (account,))
        for table in ("mailboxes", "subscriptions"):
            batch.execute(f"DELETE FROM {table} WHERE account = ?", (account,))
        batch.execute("DELETE FROM accounts WHERE id = ?", (account,))

        def settled() -> None:
            del self._state.owners[account]
            del self._state.keys[owner.key]
            self._state.recent_claims.difference_update(owner.mailboxes.values())

        batch.then(settled)
        batch.publish(AccountClosed(account))
        batch.sweep = True

    def _free_key(self, address: str) -> str:
        key = address_key(address)
        domain = key.rpartition("@")[2]
        if domain not in self._state.domains:
            raise NotFound(f"the domain {domain} is not one of this server's: add it first")
        if key in self._state.keys or key in self._state.aliases:
            raise AlreadyExists(f"{address} exists already")
        return key
