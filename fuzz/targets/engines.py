"""SMTP, IMAP and POP3: any octets, before and after login, in and outside of TLS, cut in any way."""

from base64 import b64encode

from fuzz.targets.conversation import check_smtp, imap_lines, in_two_cuts
from fuzz.targets.world import EPOCH, NAME, PASSWORD, TLS, OneAccount, emit, open_store, pieces, queue_ids, run
from pillarbox.imap.engine import ImapEngine
from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.sasl import registry
from pillarbox.sasl.api import Credentials, Exchange
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.client.engine import SmtpClient
from pillarbox.smtp.client.engine import Want as ClientWant
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode
from pillarbox.smtp.client.transaction import Recipient, Transaction
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.service import MailService
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer import policy as transfer
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Engine, Link, TlsInfo

_PLAIN = b64encode(f"\0{NAME}\0{PASSWORD}".encode())
IMAP_LOGIN = f"a LOGIN {NAME} {PASSWORD}\r\n".encode()
POP3_LOGIN = f"USER {NAME}\r\nPASS {PASSWORD}\r\n".encode()
SMTP_LOGIN = b"EHLO x.test\r\nAUTH PLAIN %b\r\n" % _PLAIN


def _link(mode: int) -> Link:
    return Link(tls=TLS if mode & 1 else None, emit=emit)


def imap_engine(mode: int, store: MemoryStore, account: OneAccount) -> ImapEngine:
    """An IMAP server; the lowest bit of `mode` is TLS."""
    return ImapEngine(_link(mode), store, account, nonce=lambda: "nonce", clock=lambda: float(EPOCH))


def imap_beginning(mode: int) -> bytes:
    """Commands that reach the state that `mode` names: logged in, extensions enabled, INBOX selected."""
    if mode & 3 != 3:
        return b""
    enabled = (b"", b"e ENABLE CONDSTORE\r\n", b"e ENABLE IMAP4rev2\r\n", b"e ENABLE UTF8=ACCEPT\r\n")[mode >> 3 & 3]
    return IMAP_LOGIN + enabled + (b"b SELECT INBOX\r\n" if mode & 4 else b"")


def imap(octets: bytes) -> None:
    """The first octet: TLS, logged in, INBOX selected, and two bits of what is enabled."""
    run(_imap(octets))


async def _imap(octets: bytes) -> None:
    mode = octets[0] if octets else 0

    async def build() -> tuple[Engine, MemoryStore]:
        store = await open_store()
        return imap_engine(mode, store, OneAccount()), store

    imap_lines((await in_two_cuts(build, pieces(octets[1:]), imap_beginning(mode))).answers)


def pop3_engine(mode: int, store: MemoryStore, account: OneAccount) -> Pop3Engine:
    """A POP3 server; the lowest bit of `mode` is TLS."""
    return Pop3Engine(_link(mode), store, account, locks=MaildropLocks(), nonce=lambda: "nonce")


def pop3(octets: bytes) -> None:
    """The first octet: TLS, logged in."""
    run(_pop3(octets))


async def _pop3(octets: bytes) -> None:
    mode = octets[0] if octets else 0

    async def build() -> tuple[Engine, MemoryStore]:
        store = await open_store()
        return pop3_engine(mode, store, OneAccount()), store

    ended = await in_two_cuts(build, pieces(octets[1:]), POP3_LOGIN if mode & 3 == 3 else b"")
    assert ended.answers.startswith(b"+OK ")
    assert ended.answers.endswith(b"\r\n")


def _exchange(name: str, credentials: Credentials, *, tls: TlsInfo | None) -> Exchange:
    return registry.exchange(name, credentials, tls=tls, nonce=lambda: "nonce")


def smtp_engine(mode: int, store: MemoryStore, account: OneAccount) -> SmtpEngine:
    """An SMTP server; bits of `mode`: TLS, (logged in), submission or port 25."""
    submission = bool(mode & 4)
    house = transfer.Policy(hostname="mail.b.test")
    kind = Submission if submission else Reception
    service: MailService = kind(store, house, clock=lambda: float(EPOCH), queue_id=queue_ids())
    policy = Policy(hostname="mail.b.test", submission=submission)
    return SmtpEngine(_link(mode), service, policy, account if submission else None, start_exchange=_exchange)


def smtp(octets: bytes) -> None:
    """The first octet: TLS, logged in, submission or port 25."""
    run(_smtp(octets))


async def _smtp(octets: bytes) -> None:
    mode = octets[0] if octets else 0

    async def build() -> tuple[Engine, MemoryStore]:
        store = await open_store()
        return smtp_engine(mode, store, OneAccount()), store

    check_smtp((await in_two_cuts(build, pieces(octets[1:]), SMTP_LOGIN if mode & 7 == 7 else b"")).answers)


def smtp_client(octets: bytes) -> None:
    """Any server: the first octet is the kind of hop, whether there is a login, and what is to be sent."""
    mode = octets[0] if octets else 0
    tls_mode = list(TlsMode)[mode & 3]
    login = Login("relay", Secret(PASSWORD)) if mode & 4 else None
    client = SmtpClient(ClientPolicy(host_name="us.test"), tls_mode, login)
    client.connected(TLS if tls_mode is TlsMode.IMPLICIT else None)
    recipients = [Recipient("b@them.test"), Recipient("ü@them.test" if mode & 8 else "c@them.test")]
    transaction = Transaction("a@us.test", recipients, 100, eight_bit=not mode & 16)
    sent, relayed = False, b""
    for read in pieces(octets[1:]):
        client.receive(read)
        if client.want is ClientWant.TLS:
            client.tls_started(TLS)
        if client.want is ClientWant.READY and not sent:
            sent = True
            client.send(transaction)
        if client.want is ClientWant.BODY:
            client.body(b"Subject: x\r\n\r\n.dot\r\n")
            client.end_of_body()
        said = b"".join(client.out.take())
        relayed += said
        if client.tls is None and tls_mode is not TlsMode.NONE:
            assert _PLAIN not in said, "a password in the clear"
        assert said.endswith(b"\r\n") or not said
    client.lost("the connection broke")
    assert client.want is ClientWant.CLOSED
    assert not sent or None not in transaction.outcomes, "a recipient without an outcome"
    lines = relayed.split(b"\r\n")
    assert sum(line.startswith(b"MAIL FROM:") for line in lines) <= 1, "one message is sent once"
