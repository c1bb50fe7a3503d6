"""The directory of the memory home."""

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
from pillarbox.store.memory.state import AccountState, State
from pillarbox.store.names import address_key, lookup_domain, lookup_key


class MemoryDirectory:
    """Implements `store.api.Directory`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def domains(self) -> list[str]:
        return sorted(self._state.domains)

    async def add_domain(self, domain: str) -> None:
        domain = normalise_domain(domain)
        if domain in self._state.domains:
            raise AlreadyExists(f"the domain {domain} exists already")
        self._state.domains.add(domain)

    async def remove_domain(self, domain: str) -> None:
        domain = lookup_domain(domain)
        if domain not in self._state.domains:
            raise NotFound(f"the domain {domain} is not one of this server's")
        used = [*self._state.account_keys, *self._state.aliases]
        if any(key.rpartition("@")[2] == domain for key in used):
            raise StoreError(f"{domain} still has accounts or aliases: remove them first")
        self._state.domains.remove(domain)

    async def is_local(self, domain: str) -> bool:
        return lookup_domain(domain) in self._state.domains

    async def accounts(self) -> list[Account]:
        return sorted((a.account for a in self._state.accounts.values()), key=lambda a: a.address)

    async def account(self, address: str) -> Account | None:
        found = self._state.account_keys.get(lookup_key(address))
        return None if found is None else self._state.accounts[found].account

    async def account_by_id(self, account: int) -> Account | None:
        found = self._state.accounts.get(account)
        return None if found is None else found.account

    async def hashes(self, account: int) -> PasswordHashes | None:
        found = self._state.accounts.get(account)
        return None if found is None else found.hashes

    async def add_account(self, address: str, hashes: PasswordHashes, *, quota: int = 0) -> Account:
        state = self._state
        key = self._free_key(address)
        account = Account(state.new_account_id(), address, quota=quota, created=int(state.clock()))
        owner = state.accounts[account.id] = AccountState(account, hashes)
        state.account_keys[key] = account.id
        for name, special_use in DEFAULT_MAILBOXES.items():
            state.create_mailbox(owner, name, special_use)
            owner.subscriptions.add(name)
        return account

    async def set_hashes(self, account: int, hashes: PasswordHashes) -> None:
        self._state.account(account).hashes = hashes
        self._state.changes.publish(AccountClosed(account))

    async def set_disabled(self, account: int, *, disabled: bool) -> None:
        owner = self._state.account(account)
        owner.account = replace(owner.account, disabled=disabled)
        if disabled:
            self._state.changes.publish(AccountClosed(account))

    async def remove_account(self, account: int) -> None:
        owner = self._state.account(account)
        del self._state.accounts[account]
        del self._state.account_keys[address_key(owner.account.address)]
        self._state.changes.publish(AccountClosed(account))

    async def aliases(self) -> list[Alias]:
        return [alias for _, alias in sorted(self._state.aliases.items())]

    async def alias(self, address: str) -> Alias | None:
        return self._state.aliases.get(lookup_key(address))

    async def add_alias(self, alias: Alias) -> None:
        self._state.aliases[self._free_key(alias.address)] = alias

    async def remove_alias(self, address: str) -> None:
        if self._state.aliases.pop(lookup_key(address), None) is None:
            raise NotFound(f"there is no alias {address}")

    def _free_key(self, address: str) -> str:
        key = address_key(address)
        domain = key.rpartition("@")[2]
        if domain not in self._state.domains:
            raise NotFound(f"the domain {domain} is not one of this server's: add it first")
        if key in self._state.account_keys or key in self._state.aliases:
            raise AlreadyExists(f"{address} exists already")
        return key
