"""From an address to the accounts behind it: exact account, alias, base of a +tag, catch-all, in this order.

Used by reception, submission and bounces alike, so that "who gets it" has one answer.

Security: an alias may lead anywhere, also to itself; expansion is bounded in depth and breadth.
"""

import msgspec

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.status import Refused, Reply
from pillarbox.store.api import Account, Directory
from pillarbox.transfer.policy import Policy

TAG_SEPARATOR = "+"
"""Splits user+tag (RFC 5233): mail for user+anything goes to user."""

MAX_DEPTH = 10
"""Aliases of aliases: deeper is a mistake."""

MAX_TARGETS = 1000
"""Addresses that one address may expand to."""

ROLES = frozenset(("postmaster", "abuse"))
"""Names that must reach a person on every domain (RFC 5321 §4.5.1, RFC 2142)."""

_TOO_WIDE = Reply(451, "4.2.4", "The alias expands to too many addresses; its owner has to mend it")


class Destinations(msgspec.Struct, frozen=True):
    """Where mail for an address ends: accounts here, and addresses elsewhere (targets of aliases)."""

    accounts: tuple[Account, ...] = ()
    elsewhere: tuple[Address, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.elsewhere)


class AddressBook:
    """Answers from the directory, by the policy."""

    def __init__(self, directory: Directory, policy: Policy) -> None:
        self._directory = directory
        self._policy = policy

    async def is_ours(self, address: Address) -> bool:
        """Whether we are the one to decide about this address: a local domain, or this host's own postmaster."""
        return await self._directory.is_local(address.domain) or (
            address.domain == self._policy.hostname.lower() and address.local_part.casefold() in ROLES
        )

    async def resolve(self, address: Address) -> Destinations:
        """Everything that mail for this address leads to, each destination once. Nothing: nobody is there.

        An address elsewhere leads to itself, or to the account that `relay_to` names. Raises Refused (expansion without
        bounds).
        """
        found = await self._step(address)
        if isinstance(found, Account):  # nearly always
            return Destinations((found,))
        accounts: dict[int, Account] = {}
        elsewhere: dict[str, Address] = {}
        seen: set[str] = set()
        level = [address]
        for _ in range(MAX_DEPTH):
            following: list[Address] = []
            for target in level:
                if target.key in seen:
                    continue
                seen.add(target.key)
                if len(seen) > MAX_TARGETS:
                    raise Refused(_TOO_WIDE)
                found = await self._step(target)
                if isinstance(found, Account):
                    accounts[found.id] = found
                elif found is None:
                    elsewhere[target.key] = target
                else:
                    following += found
            if not following:
                return Destinations(tuple(accounts.values()), tuple(elsewhere.values()))
            level = following
        raise Refused(_TOO_WIDE)

    async def owns(self, account: int, address: Address) -> bool:
        """Whether mail for this address here reaches the account; then the account may also write from it."""
        if not await self._directory.is_local(address.domain):
            return False
        return any(owner.id == account for owner in (await self.resolve(address)).accounts)

    async def _step(self, address: Address) -> Account | list[Address] | None:
        """An account, the addresses that an alias stands for (none: nobody), or None for an address elsewhere."""
        if not await self.is_ours(address):
            return await self._directory.account(self._policy.relay_to) if self._policy.relay_to else None
        base, tag, _ = address.local_part.partition(TAG_SEPARATOR)
        candidates = [address, Address(base, address.domain)] if tag and base else [address]
        for candidate in candidates:
            name = str(candidate)
            account = await self._directory.account(name)
            if account is not None:
                return account
            alias = await self._directory.alias(name)
            if alias is not None:
                return _addresses(alias.targets)
        catch_all = await self._directory.alias(f"@{address.domain}")
        if catch_all is not None:
            return _addresses(catch_all.targets)
        if address.local_part.casefold() in ROLES:
            return await self._postmaster() or []
        return []

    async def _postmaster(self) -> Account | None:
        if self._policy.postmaster:
            account = await self._directory.account(self._policy.postmaster)
            if account is not None:
                return account
        return min(await self._directory.accounts(), key=lambda account: account.id, default=None)


def _addresses(texts: tuple[str, ...]) -> list[Address]:
    """Targets as addresses; one that is malformed leads nowhere."""
    found = []
    for text in texts:
        try:
            found.append(Address.parse(text))
        except BadAddress:
            continue
    return found
