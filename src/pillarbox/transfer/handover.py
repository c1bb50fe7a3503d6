"""Handover: where a message goes, worked out at the moment when it becomes ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Refused, Reply
from pillarbox.store.api import Account, NoSuchAccount, Relay, Store, StoreError
from pillarbox.transfer.delivery import AddressBook

_UNKNOWN = Reply(550, "5.1.1", "There is no such mailbox here")
_UNAVAILABLE = Reply(452, "4.3.1", "The message cannot be kept now; try again later")


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a message goes: accounts here that can receive, and addresses elsewhere; each once."""

    accounts: tuple[Account, ...]
    elsewhere: tuple[Address, ...]

    def relay(self, queue_id: str, envelope: Envelope, *, account: int = 0) -> Relay | None:
        """What the queue gets, if anything."""
        if not self.elsewhere:
            return None
        # What the next hop must know too (RFC 6531 §3.6, RFC 6152 §3).
        parameters = {name: envelope.parameters[name] for name in ("BODY", "SMTPUTF8") if name in envelope.parameters}
        recipients = [(str(address), dict[str, str]()) for address in self.elsewhere]
        return Relay(queue_id, str(envelope.reverse_path or ""), recipients, account, parameters)


async def plan(book: AddressBook, recipients: Iterable[Address]) -> Plan:
    """Resolve all recipients together, so that nobody gets a message twice. Raises Refused when nobody is left."""
    accounts: dict[int, Account] = {}
    elsewhere: dict[str, Address] = {}
    for recipient in recipients:
        found = await book.resolve(recipient)
        accounts.update({account.id: account for account in found.accounts if not account.disabled})
        elsewhere.update({address.key: address for address in found.elsewhere})
    if not accounts and not elsewhere:
        raise Refused(_UNKNOWN)
    return Plan(tuple(accounts.values()), tuple(elsewhere.values()))


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
