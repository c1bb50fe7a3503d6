"""Who writes: on submission, reverse-path and authors must be addresses of the account (RFC 6409 §6.1, §8.1).

Security: a From that parsers read differently is how a forged author slips through; one From field is allowed, and each
address in it must belong to the account.
"""

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.address_list import addresses
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.header import values_of
from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Client
from pillarbox.transfer.checks.verdict import PASS, Check, Verdict
from pillarbox.transfer.delivery import AddressBook
from pillarbox.transfer.incoming import Incoming

MAX_AUTHORS = 100
"""Addresses in one From field: each is looked up, and nobody has so many."""

_NOT_YOURS = Reply(553, "5.7.1", "The sender's address is not one of yours; write from your own address or alias")
_ONE_FROM = Reply(554, "5.6.0", "The message needs exactly one From field, with at least one address")
_TOO_MANY_AUTHORS = Reply(554, "5.6.0", f"The From field has more than {MAX_AUTHORS} addresses")
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
        authors, senders = values_of(incoming.header, b"from"), values_of(incoming.header, b"sender")
        written = addresses(authors[0]) if len(authors) == 1 else []
        if not written:
            return Verdict(_ONE_FROM)
        if len(written) > MAX_AUTHORS:
            return Verdict(_TOO_MANY_AUTHORS)
        sent = addresses(senders[0]) if senders else []
        if len(senders) > 1 or (senders and len(sent) != 1):
            return Verdict(_ONE_SENDER)
        for local_part, domain in (*written, *sent):
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
