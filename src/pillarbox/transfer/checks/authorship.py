"""Who writes: on submission, reverse-path and authors must be addresses of the account (RFC 6409 §6.1, §8.1).

Security: a From that parsers read differently is how a forged author slips through; one From field is allowed, and each
address in it must belong to the account.
"""

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.address_list import addresses
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.header import fields, unfold
from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Client
from pillarbox.transfer.checks.verdict import PASS, Check, Verdict
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.incoming import Incoming

_NOT_YOURS = Reply(553, "5.7.1", "The sender's address is not one of yours; write from your own address or alias")
_ONE_FROM = Reply(554, "5.6.0", "The message needs exactly one From field, with at least one address")
_ONE_SENDER = Reply(554, "5.6.0", "The message may have one Sender field at most, with one address")
_AUTHOR_NOT_YOURS = Reply(550, "5.7.1", "An address in From or Sender is not one of yours; write from your own")


class AuthorshipCheck(Check):
    """Refuses reverse-paths and authors that do not lead to the account."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def sender(self, client: Client, envelope: Envelope) -> Verdict:
        """The reverse-path; the null one is for notifications that programs send (RFC 8098 §3)."""
        reverse_path = envelope.reverse_path
        if reverse_path is None or await self._owns(client, reverse_path):
            return PASS
        return Verdict(_NOT_YOURS)

    async def message(self, client: Client, envelope: Envelope, incoming: Incoming) -> Verdict:
        """The From field, and Sender where it is there."""
        authors: list[list[tuple[bytes, bytes]]] = []
        senders: list[list[tuple[bytes, bytes]]] = []
        for field in fields(incoming.header, 0, len(incoming.header)):
            if field.name == b"from":
                authors.append(addresses(unfold(field.value)))
            elif field.name == b"sender":
                senders.append(addresses(unfold(field.value)))
        if len(authors) != 1 or not authors[0]:
            return Verdict(_ONE_FROM)
        if len(senders) > 1 or any(len(found) != 1 for found in senders):
            return Verdict(_ONE_SENDER)
        for local_part, domain in (*authors[0], *(found[0] for found in senders)):
            address = _address(local_part, domain)
            if address is None or not await self._owns(client, address):
                return Verdict(_AUTHOR_NOT_YOURS)
        return PASS

    async def _owns(self, client: Client, address: Address) -> bool:
        assert client.identity is not None
        return await self._book.owns(client.identity.account, address)


def _address(local_part: bytes, domain: bytes) -> Address | None:
    """An address of a header field, whose quoting is undone already; None when it cannot be one."""
    try:
        name, host = local_part.decode(), domain.decode()
        return Address.parse(f"{name}@{host}") if '"' not in name else None
    except (UnicodeDecodeError, BadAddress):
        return None
