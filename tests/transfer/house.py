"""A small world for transfer's tests: two domains' worth of people in a memory store."""

from itertools import count
from typing import Any

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Reply
from pillarbox.sasl.api import Identity, ScramKeys
from pillarbox.smtp.service import Client, MailService
from pillarbox.store.api import INBOX, Alias, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Link, TlsInfo

HASHES = PasswordHashes("", ScramKeys(b"", 4096, b"", b""))
NOW = 1_700_000_000.0  # 14 Nov 2023 22:13:20 UTC
TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")


async def a_store() -> MemoryStore:
    """example.test with alice, bob, world and postmaster's fallback; aliases of every kind."""
    store = MemoryStore(clock=lambda: NOW)
    directory = store.directory
    await directory.add_domain("example.test")
    await directory.add_domain("other.test")
    for name in ("alice", "bob", "world"):
        await directory.add_account(f"{name}@example.test", HASHES)
    await directory.add_account("all@other.test", HASHES)
    for address, targets in {
        "team@example.test": ("alice@example.test", "bob@example.test"),
        "sales@example.test": ("team@example.test", "carol@far.example"),
        "loop@example.test": ("pool@example.test",),
        "pool@example.test": ("loop@example.test", "bob@example.test"),
        "dangling@example.test": ("nobody@example.test",),
        "@other.test": ("all@other.test",),
    }.items():
        await directory.add_alias(Alias(address, targets))
    return store


def queue_ids() -> Any:
    """q1, q2, ..."""
    numbers = count(1)
    return lambda: f"q{next(numbers)}"


def a_client(identity: Identity | None = None, **link: Any) -> Client:
    """Somebody from far away."""
    return Client(Link(**{"peer": "192.0.2.7", **link}), "far.example", identity, "ESMTPS")


async def send(
    service: MailService, client: Client, sender: str, recipients: list[str], octets: bytes, **parameters: str
) -> Reply:
    """One transaction; raises Refused from whichever step."""
    envelope = Envelope(Address.parse(sender) if sender else None, parameters)
    await service.check_sender(client, envelope)
    for recipient in recipients:
        path = ForwardPath(Address.parse(recipient))
        await service.check_recipient(client, envelope, path)
        envelope.forward_paths.append(path)
    body = service.open_body(client, envelope)
    body.write(octets)
    return await service.accept(client, envelope, body)


async def messages(store: MemoryStore, address: str, mailbox: str = INBOX) -> list[bytes]:
    """What is in a mailbox."""
    account = await store.directory.account(address)
    assert account is not None
    view = await store.mail.open(account.id, mailbox)
    return [await store.mail.octets(account.id, view.mailbox, uid) or b"" for uid in view.uids]
