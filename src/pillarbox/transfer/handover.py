"""Handover: where a message goes, worked out at the moment when it becomes ours."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import msgspec

from pillarbox.mail.address import Address
from pillarbox.mail.dsn import Action
from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Refused, Reply
from pillarbox.store.api import Account, NoSuchAccount, Relay, Store, StoreError
from pillarbox.transfer.delivery import AddressBook

_UNKNOWN = Reply(550, "5.1.1", "There is no such mailbox here")
_UNAVAILABLE = Reply(452, "4.3.1", "The message cannot be kept now; try again later")

_PASSED_ON = ("BODY", "SMTPUTF8", "RET", "ENVID")
"""Parameters of MAIL that the next hop must know, too (RFC 6152 §3, RFC 6531 §3.6, RFC 3461 §5.2.1)."""


class Plan(msgspec.Struct, frozen=True):
    """Where a message goes: accounts here that can receive, and addresses elsewhere with the parameters of their RCPT; each
    once. `ended`: recipients for whom the notifications that the sender asked for are ours to make, all others the next
    hop's."""

    accounts: tuple[Account, ...]
    elsewhere: tuple[tuple[Address, Mapping[str, str]], ...]
    ended: tuple[tuple[ForwardPath, Action], ...] = ()

    def relay(self, queue_id: str, envelope: Envelope, *, account: int = 0) -> Relay | None:
        """What the queue gets, if anything."""
        if not self.elsewhere:
            return None
        parameters = {name: envelope.parameters[name] for name in _PASSED_ON if name in envelope.parameters}
        recipients = [(str(address), dict(given)) for address, given in self.elsewhere]
        return Relay(queue_id, str(envelope.reverse_path or ""), recipients, account, parameters)


async def plan(book: AddressBook, recipients: Iterable[ForwardPath]) -> Plan:
    """Resolve all recipients together, so that nobody gets a message twice. Raises Refused when nobody is left."""
    accounts: dict[int, Account] = {}
    elsewhere: dict[str, tuple[Address, Mapping[str, str]]] = {}
    ended: list[tuple[ForwardPath, Action]] = []
    for recipient in recipients:
        found = await book.resolve(recipient.address)
        active = [account for account in found.accounts if not account.disabled]
        accounts.update({account.id: account for account in active})
        given = recipient.parameters
        if given and len(active) + len(found.elsewhere) > 1:
            given = _of_members(given)
            ended.append((recipient, Action.EXPANDED))
        elif given and active:
            ended.append((recipient, Action.DELIVERED))
        for address in found.elsewhere:
            elsewhere.setdefault(address.key, (address, given))
    if not accounts and not elsewhere:
        raise Refused(_UNKNOWN)
    return Plan(tuple(accounts.values()), tuple(elsewhere.values()), tuple(ended))


def _of_members(given: Mapping[str, str]) -> Mapping[str, str]:
    """What becomes of RCPT's parameters where an alias stands for several: success is told of the alias, not of its members
    (RFC 3461 §5.2.7.3 (c))."""
    if "NOTIFY" not in given:
        return given
    events = [event for event in given["NOTIFY"].upper().split(",") if event != "SUCCESS"]
    return {**given, "NOTIFY": ",".join(events) or "NEVER"}


async def full(store: Store, accounts: Sequence[Account], size: int) -> list[Account]:
    """Which of these accounts have no room for `size` octets more."""
    found = []
    for account in accounts:
        if account.quota:
            try:
                used, _ = await store.mail.usage(account.id)
            except NoSuchAccount:
                continue
            if used + size > account.quota:
                found.append(account)
    return found


class _StoreTrouble:
    """A context in which trouble of the store becomes a temporary refusal, in the words of SMTP."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, StoreError | OSError) and not issubclass(kind, ConnectionError):
            raise Refused(_UNAVAILABLE) from None


STORE_TROUBLE = _StoreTrouble()
