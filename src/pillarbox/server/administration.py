"""What an administrator can do with accounts, domains, aliases and the queue: one verb each.

The same verbs are called through the running server's control socket and, when no server runs, by the command line on
the store itself. Arguments and results are plain values (text, numbers, lists, dictionaries), fit for JSON.

Security: whoever reaches this may do everything. The control socket admits only its owner. Passwords arrive as text and
are wrapped at once.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, time
from typing import Any, get_type_hints

import msgspec

from pillarbox.access.passwords import BadPassword, hash_password
from pillarbox.access.suspicions import suspicions
from pillarbox.access.throttle import Throttle
from pillarbox.mail.address import Address, BadAddress, normalise_domain
from pillarbox.sasl.secret import Secret
from pillarbox.server.refusal import Refusal as Refusal
from pillarbox.store.api import (
    Account,
    Alias,
    AlreadyExists,
    Check,
    NotFound,
    PasswordHashes,
    QueueEntry,
    Store,
    StoreError,
    StoreUnavailable,
)
from pillarbox.store.upkeep import SearchIndex


class Administration:
    """The verbs. `hashing` is slow and runs in a thread; `queue_changed` wakes whoever works on the queue;
    `throttle` is that of the running server, whose times are `monotonic`."""

    def __init__(
        self,
        store: Store,
        *,
        hashing: Callable[[Secret], PasswordHashes] = hash_password,
        queue_changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time,
        throttle: Throttle | None = None,
        monotonic: Callable[[], float] = monotonic,
        metrics: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._store = store
        self._directory = store.directory
        self._hash = hashing
        self._queue_changed = queue_changed
        self._clock = clock
        self._checked: tuple[int, int] | None = None
        self._throttle = throttle
        self._monotonic = monotonic
        self._metrics = metrics

    async def perform(self, verb: str, arguments: dict[str, Any]) -> Any:
        """Carry out one verb by its name, with arguments by theirs. Raises Refusal, and nothing else that is expected."""
        method: Callable[..., Awaitable[Any]] | None = VERBS.get(verb)
        if method is None:
            raise Refusal(f"This server does not know {verb!r}.", "Is it older than the command? Restart the server.")
        _check_arguments(verb, method, arguments)
        try:
            return await method(self, **arguments)
        except BadAddress as error:
            raise Refusal(f"Not an address: {error}.", "An address looks like anna@example.org.") from None
        except BadPassword as error:
            raise Refusal(f"This password will not do: {error}.", "Nothing was changed.") from None
        except StoreUnavailable as error:
            raise Refusal(f"The store cannot do it now: {error}", "Nothing was changed.", later=True) from None
        except StoreError as error:
            raise Refusal(str(error)) from None

    # --- domains ---

    async def list_domains(self) -> list[dict[str, Any]]:
        """Domains with the number of their accounts and aliases."""
        accounts = [Address.parse(a.address).domain for a in await self._directory.accounts()]
        aliases = [a.address.rpartition("@")[2] for a in await self._directory.aliases()]
        return [
            {"domain": d, "accounts": accounts.count(d), "aliases": aliases.count(d)}
            for d in sorted(await self._directory.domains())
        ]

    async def add_domain(self, domain: str) -> None:
        """Take mail for a domain."""
        try:
            await self._directory.add_domain(normalise_domain(domain))
        except AlreadyExists:
            raise Refusal(f"Mail for {domain} is taken already.") from None

    async def remove_domain(self, domain: str) -> None:
        """Refused while accounts or aliases use it."""
        try:
            await self._directory.remove_domain(normalise_domain(domain))
        except NotFound:
            raise Refusal(f"{domain} is not a domain of this server.", "See: pillarbox domain list") from None

    # --- accounts ---

    async def _account(self, address: str) -> Account:
        account = await self._directory.account(str(Address.parse(address)))
        if account is None:
            alias = await self._directory.alias(str(Address.parse(address)))
            advice = "It is an alias: see pillarbox alias list" if alias else "See: pillarbox account list"
            raise Refusal(f"There is no account {address}.", advice)
        return account

    async def _facts(self, account: Account) -> dict[str, Any]:
        size, messages = await self._store.mail.usage(account.id)
        return {
            "address": account.address,
            "disabled": account.disabled,
            "quota": account.quota,
            "created": account.created,
            "octets": size,
            "messages": messages,
        }

    async def list_accounts(self) -> list[dict[str, Any]]:
        """Accounts with the size of their mail, by domain and name."""
        accounts = await self._directory.accounts()
        facts = [await self._facts(account) for account in accounts]
        return sorted(facts, key=lambda a: a["address"].rpartition("@")[::-2])

    async def check_account(self, address: str) -> dict[str, Any]:
        """The facts of one account; refused when there is none."""
        return await self._facts(await self._account(address))

    async def check_new_account(self, address: str) -> None:
        """Refused when `add_account` would be, so that nobody types a password in vain."""
        parsed = Address.parse(address)
        if not await self._directory.is_local(parsed.domain):
            raise Refusal(
                f"{parsed.domain} is not a domain of this server.", f"First: pillarbox domain add {parsed.domain}"
            )
        if await self._directory.account(str(parsed)) is not None:
            raise Refusal(f"There is an account {address} already.", "See: pillarbox account list")
        if await self._directory.alias(str(parsed)) is not None:
            raise Refusal(f"{address} is an alias already.", f"First: pillarbox alias remove {address}")

    async def add_account(self, address: str, password: str, quota: int = 0) -> dict[str, Any]:
        """Create an account; `quota` in octets, 0 for none."""
        await self.check_new_account(address)
        hashes = await asyncio.to_thread(self._hash, Secret(password))
        return await self._facts(await self._directory.add_account(str(Address.parse(address)), hashes, quota=quota))

    async def set_password(self, address: str, password: str) -> None:
        """A new password; open sessions of the account end."""
        account = await self._account(address)
        await self._directory.set_hashes(account.id, await asyncio.to_thread(self._hash, Secret(password)))

    async def set_disabled(self, address: str, disabled: bool) -> None:  # noqa: FBT001  (called by name)
        """Refuse log-ins of an account, or allow them again."""
        await self._directory.set_disabled((await self._account(address)).id, disabled=disabled)

    async def remove_account(self, address: str) -> None:
        """The account and its mail, for good."""
        await self._directory.remove_account((await self._account(address)).id)

    # --- who guesses passwords ---

    def _counting(self) -> Throttle:
        if self._throttle is None:
            raise Refusal(
                "No server is running here.", "Wrong passwords are counted in its memory; a start forgets them."
            )
        return self._throttle

    async def list_suspicions(self) -> list[dict[str, Any]]:
        """Wrong passwords by address block, account, and both: how many are not yet forgiven, and who is refused now."""
        found = await suspicions(self._counting(), self._directory, self._monotonic())
        return [asdict(each) for each in found]

    async def forgive(self, who: str | None = None) -> int:
        """Forget the wrong passwords of an IP address's block or an account, or of everybody; returns how many entries."""
        throttle = self._counting()
        if who is None:
            return throttle.forgive()
        try:
            return throttle.forgive(peer=str(ip_address(who.partition("/")[0])))
        except ValueError:
            return throttle.forgive(name=Address.parse(who).key)

    # --- aliases ---

    async def list_aliases(self) -> list[dict[str, Any]]:
        """Aliases and catch-alls with their targets, by domain and name."""
        aliases = sorted(await self._directory.aliases(), key=lambda a: a.address.rpartition("@")[::-2])
        return [{"address": a.address, "targets": list(a.targets)} for a in aliases]

    async def add_alias(self, address: str, targets: list[str]) -> None:
        """Send mail for `address` ("@domain": whatever has no account and no alias there) to `targets`."""
        name = _alias_name(address)
        domain = name.rpartition("@")[2]
        if not await self._directory.is_local(domain):
            raise Refusal(f"{domain} is not a domain of this server.", f"First: pillarbox domain add {domain}")
        if not targets:
            raise Refusal("An alias needs at least one address to lead to.")
        parsed = [Address.parse(target) for target in targets]
        await self._check_loop(name, parsed)
        try:
            await self._directory.add_alias(Alias(name, tuple(map(str, parsed))))
        except AlreadyExists:
            raise Refusal(
                f"There is an account or alias {address} already.",
                f"To lead it elsewhere: pillarbox alias remove {address}, then add it again.",
            ) from None

    async def _check_loop(self, name: str, targets: list[Address]) -> None:
        """Refuse aliases that would come back to themselves, and targets on our domains that nobody has."""
        seen, waiting = {name.casefold()}, [(t, True) for t in targets]
        while waiting:
            target, direct = waiting.pop()
            if target.key in seen:
                if target.key == name.casefold():
                    raise Refusal(f"{name} would lead back to itself by way of {target}.")
                continue
            seen.add(target.key)
            if not await self._directory.is_local(target.domain) or await self._directory.account(str(target)):
                continue
            base = Address(target.local_part.partition("+")[0] or target.local_part, target.domain)
            if base != target and await self._directory.account(str(base)):
                continue
            alias = (
                await self._directory.alias(str(target))
                or await self._directory.alias(str(base))
                or await self._directory.alias(f"@{target.domain}")
            )
            if alias is None and direct:
                raise Refusal(f"Nobody here has the address {target}.", "See: pillarbox account list")
            if alias is not None:
                waiting += [(Address.parse(t), False) for t in alias.targets]

    async def remove_alias(self, address: str) -> None:
        """The alias only; accounts that it led to stay."""
        try:
            await self._directory.remove_alias(_alias_name(address))
        except NotFound:
            raise Refusal(f"There is no alias {address}.", "See: pillarbox alias list") from None

    # --- the store ---

    async def check_store(self, repair: bool = False) -> list[str]:  # noqa: FBT001, FBT002  (called by name)
        """Everything that is wrong with the store; `repair` mends what can be mended."""
        check: Check | None = getattr(self._store, "check", None)
        if check is None:
            raise Refusal("This store is not on a disk: there is nothing to check.")
        try:
            return [problem async for problem in check.problems(repair=repair, progress=self._note_progress)]
        finally:
            self._checked = None

    def _note_progress(self, done: int, total: int) -> None:
        self._checked = (done, total)

    async def check_progress(self) -> tuple[int, int] | None:
        """How many messages `check_store` has read, of how many; None when it does not run."""
        return self._checked

    def _search_index(self) -> SearchIndex:
        index: SearchIndex | None = getattr(self._store, "indexer", None)
        if index is None:
            raise Refusal("This store is not on a disk: it has no index.")
        return index

    async def index_status(self, address: str | None = None) -> dict[str, Any]:
        """How far the full-text index is with each account (or with one), and what it takes on the disk, in octets."""
        index = self._search_index()
        wanted = None if address is None else (await self._account(address)).id
        names = {account.id: account.address for account in await self._directory.accounts()}
        accounts = [
            {
                "address": names[each.account],
                "messages": each.messages,
                "indexed": each.messages - each.waiting - each.apart,
                "waiting": each.waiting,
                "apart": each.apart,
            }
            for each in await index.status()
            if each.account in names and wanted in (None, each.account)
        ]
        accounts.sort(key=lambda a: str(a["address"]).rpartition("@")[::-2])
        return {"octets": await index.octets(), "accounts": accounts}

    async def rebuild_index(self, address: str | None = None) -> None:
        """Begin to make the full-text index of one account's messages anew, or all of it; it goes on in the background."""
        index = self._search_index()
        await index.rebuild(None if address is None else (await self._account(address)).id)

    async def restore_mail(self, snapshot: str, address: str, mailbox: str | None = None) -> dict[str, Any]:
        """Add the mail of one account, or of one of its mailboxes, out of a snapshot of a backup; nothing is doubled."""
        from pillarbox.server.restoring import restore_mail
        from pillarbox.store.embedded.manifest import BackupError
        from pillarbox.store.embedded.snapshot import opened

        try:
            async with opened(Path(snapshot)) as source:
                return asdict(await restore_mail(source, self._store, str(Address.parse(address)), mailbox))
        except BackupError as error:
            raise Refusal(
                f"The backup cannot be read: {error}.",
                "The server must be able to read it: look at its owner and mode.",
            ) from None

    async def metrics(self) -> str:
        """What the running server counts and measures, for Prometheus."""
        if self._metrics is None:
            raise Refusal("No server runs: only a running one counts.", "Start it: pillarbox serve", later=True)
        return await self._metrics()

    # --- the queue ---

    async def list_queue(self) -> list[dict[str, Any]]:
        """Messages that wait, oldest first, with each of their recipients."""
        return [_entry(entry) for entry in sorted(await self._store.queue.entries(), key=lambda e: e.created)]

    async def retry_queue(self, entry: str | None = None) -> int:
        """Make one message (None: all) due now; returns how many recipients that concerns."""
        if entry is not None and await self._store.queue.entry(entry) is None:
            raise _no_entry(entry)
        number = await self._store.queue.retry(entry, self._clock())
        self._queue_changed()
        return number

    async def hold_queue(self, entry: str) -> None:
        """Keep it without trying."""
        await self._on_queue(entry, self._store.queue.hold(entry))

    async def release_queue(self, entry: str) -> None:
        """Let it go, now."""
        await self._on_queue(entry, self._store.queue.release(entry, self._clock()))

    async def delete_queue(self, entry: str) -> None:
        """Without a bounce."""
        await self._on_queue(entry, self._store.queue.remove(entry))

    async def _on_queue(self, entry: str, change: Awaitable[None]) -> None:
        try:
            await change
        except NotFound:
            raise _no_entry(entry) from None
        self._queue_changed()


VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    name: method
    for name, method in vars(Administration).items()
    if inspect.iscoroutinefunction(method) and not name.startswith("_") and name != "perform"
}
"""What `perform` knows; each is documented where it is defined."""


def _check_arguments(verb: str, method: Callable[..., Awaitable[Any]], arguments: dict[str, Any]) -> None:
    """Whether there are these arguments, and of these types. Raises Refusal, whose text never holds a value."""
    try:
        inspect.signature(method).bind(None, **arguments)
        hints = get_type_hints(method)
        for name, value in arguments.items():
            msgspec.convert(value, hints[name])
            msgspec.json.encode(value)  # half a character is no text, neither for a path nor for the store
            if isinstance(value, str) and "\0" in value:
                raise TypeError(f"{name} holds a NUL character")
    except (TypeError, msgspec.ValidationError) as error:
        raise Refusal(f"{verb} was called wrongly: {error}.") from None
    except UnicodeEncodeError:
        raise Refusal(f"{verb} was called wrongly: a text is not Unicode.") from None


def _alias_name(address: str) -> str:
    if address.startswith("@"):
        return f"@{normalise_domain(address[1:])}"
    return str(Address.parse(address))


def _no_entry(entry: str) -> Refusal:
    return Refusal(f"There is no {entry} in the queue.", "It may have been delivered. See: pillarbox queue list")


def _entry(entry: QueueEntry) -> dict[str, Any]:
    plain = asdict(entry)
    for recipient, value in zip(plain["recipients"], entry.recipients, strict=True):
        recipient["state"] = value.state.value
    return plain
