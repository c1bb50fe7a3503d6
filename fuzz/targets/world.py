"""What engines stand on while they are fuzzed: one account, a memory store, credentials."""

import asyncio
from collections.abc import Coroutine
from functools import lru_cache
from itertools import count
from typing import Any

from pillarbox.mail.summary import summarise
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity, ScramKeys
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Alias, NewMessage, PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.store.memory import mail as memory_mail
from pillarbox.store.memory import store as memory_store
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import TlsInfo

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", bindings={"tls-exporter": b"binding"})
NAME, PASSWORD = "a@b.test", "pw"
KEYS = derive_keys(PASSWORD.encode(), b"0123456789abcdef", 4096)
EPOCH = 1_700_000_000

MESSAGES = (
    b"From: a@b.test\r\nSubject: one\r\nMessage-ID: <1@b.test>\r\n\r\nbody\r\n.dot\r\n",
    b'Subject: =?utf-8?q?z=C3=BC?=\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--x\r\n"
    b"Content-Type: message/rfc822\r\n\r\nTo: c@d.test\r\n\r\ninner\r\n--x--\r\n",
    b'Subject: three\r\nTo: g: c@d.test, "q," <e@f.test>;\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n\xff\x00end',
)

# The same messages again and again: a summary is a value, and making it is a third of an input's time.
for _module in (memory_mail, memory_store):
    _module.summarise = lru_cache(maxsize=64)(summarise)  # type: ignore[attr-defined]

_RUNNER = asyncio.Runner()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the one loop of this process."""
    _RUNNER.run(work)


class Bug(AssertionError):
    """The engine confessed a mistake of its own."""


def emit(event: str, /, **facts: Any) -> None:
    """Events of an engine: a confession is what is searched for."""
    if event in ("internal_error", "bug"):
        raise Bug(repr(facts)) from facts.get("error")
    if PASSWORD in map(str, facts.values()):
        raise Bug(f"a secret in the event {event}")


class OneAccount:
    """Credentials of a@b.test. `passwords` are all that were tried."""

    def __init__(self) -> None:
        self.passwords: list[str] = []

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        self.passwords.append(password.reveal())
        if authcid == "busy":
            raise AuthenticationUnavailable("Try again later")
        if authcid != NAME or password.reveal() != PASSWORD:
            raise AuthenticationFailed
        return Identity(1, NAME)

    async def scram_keys(self, authcid: str) -> ScramKeys:
        return KEYS

    async def scram_verified(self, authcid: str) -> Identity:
        if authcid != NAME:
            raise AuthenticationFailed
        return Identity(1, NAME)

    async def scram_rejected(self, authcid: str) -> None: ...

    def typed_in_clear(self, authcid: str, password: Secret) -> None: ...


async def open_store() -> MemoryStore:
    """A store with the account, an alias, and messages in its INBOX: flags, a keyword, one expunged; a folder below."""
    store = MemoryStore(clock=lambda: EPOCH)
    await store.directory.add_domain("b.test")
    await store.directory.add_account(NAME, PasswordHashes("", KEYS))
    await store.directory.add_alias(Alias("all@b.test", (NAME, "far@away.test")))
    flags = (frozenset({"\\Seen", "$x"}), frozenset({"\\Deleted"}), frozenset[str]())
    new = [NewMessage(Spool.of(octets), set_, EPOCH) for octets, set_ in zip(MESSAGES, flags, strict=True)]
    await store.mail.append(1, "INBOX", [NewMessage(Spool.of(b"A: gone\r\n\r\n")), *new])
    inbox = await store.mail.open(1, "INBOX")
    await store.mail.expunge(1, inbox.mailbox, [1], deleted_only=False)
    await store.mail.create(1, "x/ü&")
    await store.mail.subscribe(1, "x/ü&", subscribed=True)
    return store


async def contents(store: MemoryStore) -> list[Any]:
    """Everything that mailboxes and the queue hold, for comparison."""
    shown: list[Any] = [await store.mail.subscriptions(1)]
    for info in await store.mail.mailboxes(1):
        view = await store.mail.open_by_id(1, info.id)
        flags = [sorted(view.flags_of(uid) or ()) for uid in view.uids]
        octets = [await store.mail.octets(1, info.id, uid) for uid in view.uids]
        shown.append((info.name, list(view.uids), view.uidnext, flags, octets))
    for entry in await store.queue.entries():
        shown.append((entry.id, entry.reverse_path, entry.recipients, await store.queue.content(entry.id)))
    return shown


def queue_ids() -> Any:
    """q1, q2, ..."""
    numbers = count(1)
    return lambda: f"q{next(numbers)}"


def pieces(octets: bytes) -> list[bytes]:
    """An input as reads: its first octet says how it is cut, by lines or in so many octets."""
    size = octets[0] if octets else 0
    octets = octets[1:]
    if size < 128:
        return octets.splitlines(keepends=True) if size < 96 else [octets]
    size -= 127
    return [octets[i : i + size] for i in range(0, len(octets), size)]
