"""The seven ports as engines, and every command of theirs that could carry a secret: the table of the credential gates."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from tests.sasl.credentials import FakeCredentials
from tests.smtp.dialog import FakeService

from pillarbox.imap.engine import ImapEngine
from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.sasl import registry
from pillarbox.sasl.api import ScramKeys
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy as SmtpPolicy
from pillarbox.store.api import PasswordHashes
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Engine, Link, TlsInfo, Want

NAME, PASSWORD = "alice@example.test", "open sesame"
TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", bindings={"tls-exporter": b"exported"})
PLAIN = b64encode(f"\0{NAME}\0{PASSWORD}".encode())
NAME64, PASSWORD64 = b64encode(NAME.encode()), b64encode(PASSWORD.encode())
SCRAM_FIRST = b64encode(f"n,,n={NAME},r=client".encode())

SCRAM_PLUS_FIRST = b64encode(f"p=tls-exporter,,n={NAME},r=client".encode())

Lines = tuple[bytes, ...]
"""What a client sends: each line after the reply to the one before."""

Open = Callable[[Link, MemoryStore, FakeCredentials], Engine]


@dataclass(frozen=True)
class Port:
    """`hello` comes first, `capabilities` asks for the list, `success` starts the reply to a login that worked,
    `invites` are the first octets of a reply that asks for more of the secret."""

    name: str
    number: int
    implicit_tls: bool
    takes_logins: bool
    open: Open
    hello: bytes
    capabilities: bytes
    starttls: bytes
    success: bytes
    invites: bytes
    attempts: tuple[Lines, ...]
    good: tuple[Lines, ...]

    def __str__(self) -> str:
        return f"{self.name}({self.number})"


def _smtp(*, submission: bool) -> Open:
    def start(link: Link, _store: MemoryStore, credentials: FakeCredentials) -> Engine:
        policy = SmtpPolicy(hostname="mail.example.test", submission=submission)
        # Port 25 is given the credentials too: not even a mistake in the assembly may open it.
        return SmtpEngine(link, FakeService(), policy, credentials)

    return start


def _pop3(link: Link, store: MemoryStore, credentials: FakeCredentials) -> Engine:
    return Pop3Engine(link, store, credentials, locks=MaildropLocks())


def _imap(link: Link, store: MemoryStore, credentials: FakeCredentials) -> Engine:
    return ImapEngine(link, store, credentials, nonce=lambda: "nonce", clock=lambda: 1_700_000_000.0)


def _sasl(command: bytes) -> tuple[Lines, ...]:
    """Every mechanism there is (and some there are not), with and without an initial response, in odd spellings."""
    initial = {"PLAIN": PLAIN, "LOGIN": NAME64, "SCRAM-SHA-256": SCRAM_FIRST, "SCRAM-SHA-256-PLUS": SCRAM_PLUS_FIRST}
    attempts: list[Lines] = []
    for name in (
        *registry.MECHANISMS,
        "SCRAM-SHA-1-PLUS",
        "CRAM-MD5",
        "XOAUTH2",
        "OAUTHBEARER",
        "EXTERNAL",
        "ANONYMOUS",
    ):
        for spelling in (name.encode(), name.lower().encode()):
            first = initial.get(name, PLAIN)
            attempts += [
                (command % spelling + b" " + first,),
                (command % spelling, first),
                (command % spelling + b" =",),
            ]
    attempts += [(command % b"LOGIN", NAME64, PASSWORD64), (command % b"LOGIN " + NAME64, PASSWORD64)]
    return tuple(attempts)


def _good(command: bytes) -> tuple[Lines, ...]:
    return (
        (command % b"PLAIN " + PLAIN,),
        (command % b"PLAIN", PLAIN),
        (command % b"LOGIN", NAME64, PASSWORD64),
        (command % b"LOGIN " + NAME64, PASSWORD64),
    )


_USER = f"USER {NAME}".encode()
_PASS = f"PASS {PASSWORD}".encode()
_LOGIN = f'a LOGIN {NAME} "{PASSWORD}"'.encode()

_POP3_ATTEMPTS = (
    *_sasl(b"AUTH %b"),
    (_USER,),
    (_PASS,),
    (_USER, _PASS),
    (_USER.lower(), _PASS),
    (b"APOP x 0123456789abcdef",),
    (b"AUTH",),
)
_IMAP_ATTEMPTS = (
    *_sasl(b"a AUTHENTICATE %b"),
    (_LOGIN,),
    (f"a login {NAME} {PASSWORD.replace(' ', '_')}".encode(),),
    (f"a LOGIN {{{len(NAME)}}}".encode(), f"{NAME} {{{len(PASSWORD)}}}".encode(), PASSWORD.encode()),
    (f"a LOGIN {{{len(NAME)}+}}\r\n{NAME} {{{len(PASSWORD)}+}}\r\n{PASSWORD}".encode(),),
)  # fmt: skip


def _smtp_port(name: str, number: int, *, tls: bool, submission: bool) -> Port:
    start, ehlo = _smtp(submission=submission), b"EHLO client.example"
    attempts, good = _sasl(b"AUTH %b"), _good(b"AUTH %b")
    return Port(name, number, tls, submission, start, ehlo, ehlo, b"STARTTLS", b"235 ", b"334", attempts, good)


def _pop3_port(name: str, number: int, *, tls: bool) -> Port:
    good = (*_good(b"AUTH %b"), (_USER, _PASS))
    return Port(
        name, number, tls, True, _pop3, b"CAPA", b"CAPA", b"STLS", b"+OK 0 messages", b"+ ", _POP3_ATTEMPTS, good
    )


def _imap_port(name: str, number: int, *, tls: bool) -> Port:
    good = (*_good(b"a AUTHENTICATE %b"), (_LOGIN,))
    return Port(
        name, number, tls, True, _imap, b"b NOOP", b"b CAPABILITY", b"b STARTTLS", b"a OK", b"+", _IMAP_ATTEMPTS, good
    )  # fmt: skip


PORTS = (
    _smtp_port("smtp", 25, tls=False, submission=False),
    _smtp_port("submissions", 465, tls=True, submission=True),
    _smtp_port("submission", 587, tls=False, submission=True),
    _pop3_port("pop3", 110, tls=False),
    _pop3_port("pop3s", 995, tls=True),
    _imap_port("imap", 143, tls=False),
    _imap_port("imaps", 993, tls=True),
)


class Visit:
    """One connection to a port, from the greeting on."""

    def __init__(
        self, engine: Engine, credentials: FakeCredentials, events: list[tuple[str, dict[str, object]]]
    ) -> None:
        self.engine = engine
        self.credentials = credentials
        self.events = events
        engine.connected()
        self.said = [b"".join(engine.out.take())]

    @classmethod
    async def begin(cls, port: Port, *, tls: bool, peer: str = "127.0.0.1") -> "Visit":
        """Connect; `tls` also by STARTTLS where it is not implicit."""
        store = MemoryStore()
        await store.directory.add_domain("example.test")
        await store.directory.add_account(NAME, PasswordHashes("", ScramKeys(b"", 4096, b"", b"")))
        credentials = FakeCredentials({NAME: PASSWORD})
        events: list[tuple[str, dict[str, object]]] = []
        link = Link(
            peer=peer,
            tls=TLS if port.implicit_tls else None,
            emit=lambda event, /, **facts: events.append((event, facts)),
        )
        visit = cls(port.open(link, store, credentials), credentials, events)
        await visit.say(port.hello)
        if tls and not port.implicit_tls:
            await visit.say(port.starttls)
            assert visit.engine.want is Want.TLS
            visit.engine.tls_started(TLS)
            await visit.say(port.hello)
        return visit

    async def say(self, line: bytes) -> bytes:
        """Send a line; what came back."""
        self.engine.receive(line + b"\r\n")
        await self.engine.process()
        self.said.append(b"".join(self.engine.out.take()))
        return self.said[-1]
