"""Whose mail the server keeps: domains, accounts, aliases. Part of `pillarbox.store.api`, which shows it all."""

from dataclasses import dataclass
from typing import Protocol

from pillarbox.sasl.api import ScramKeys


@dataclass(frozen=True, slots=True)
class PasswordHashes:
    """What is kept of a password: an argon2id hash for PLAIN and LOGIN, keys for SCRAM-SHA-256."""

    argon2: str
    scram: ScramKeys


@dataclass(frozen=True, slots=True)
class Account:
    """Owner of mailboxes. `address` as it was given; `quota` in octets, 0 for none; `created` in epoch seconds."""

    id: int
    address: str
    disabled: bool = False
    quota: int = 0
    created: int = 0


@dataclass(frozen=True, slots=True)
class Alias:
    """Mail for `address` goes to `targets` (addresses, here or elsewhere). "@domain" is that domain's catch-all."""

    address: str
    targets: tuple[str, ...]


class Directory(Protocol):
    """Whose mail this server keeps. Look-ups are by `Address.key` form, case-insensitive, and cheap (in memory).

    Methods that take an account's id raise NoSuchAccount when it is gone, unless they can return None.
    """

    async def domains(self) -> list[str]: ...
    async def add_domain(self, domain: str) -> None:
        """Raises AlreadyExists, BadAddress."""

    async def remove_domain(self, domain: str) -> None:
        """Raises NotFound, or StoreError when accounts or aliases still use it."""

    async def is_local(self, domain: str) -> bool: ...
    async def accounts(self) -> list[Account]: ...
    async def account(self, address: str) -> Account | None:
        """The account with exactly this address (no alias, no +tag)."""

    async def account_by_id(self, account: int) -> Account | None: ...
    async def hashes(self, account: int) -> PasswordHashes | None: ...
    async def add_account(self, address: str, hashes: PasswordHashes, *, quota: int = 0) -> Account:
        """Create it with DEFAULT_MAILBOXES, subscribed. Raises AlreadyExists (also for an alias), NotFound (the domain),
        BadAddress."""

    async def set_hashes(self, account: int, hashes: PasswordHashes) -> None:
        """A new password; publishes AccountClosed."""

    async def set_disabled(self, account: int, *, disabled: bool) -> None: ...
    async def remove_account(self, account: int) -> None:
        """The account and its mail. Publishes AccountClosed."""

    async def aliases(self) -> list[Alias]: ...
    async def alias(self, address: str) -> Alias | None:
        """Exactly this alias; pass "@domain" for the catch-all."""

    async def add_alias(self, alias: Alias) -> None:
        """Raises AlreadyExists (also for an account), NotFound (the domain), BadAddress."""

    async def remove_alias(self, address: str) -> None:
        """Raises NotFound."""
