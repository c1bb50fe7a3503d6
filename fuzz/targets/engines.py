"""SMTP, IMAP and POP3: any octets, before and after login, in and outside of TLS, cut in any way."""

from base64 import b64encode

from fuzz.targets.world import EPOCH, NAME, PASSWORD, TLS, OneAccount, converse, emit, open_store, pieces, run
from pillarbox.imap.engine import ImapEngine
from pillarbox.pop3.engine import Pop3Engine
from pillarbox.pop3.maildrop import MaildropLocks
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.client.engine import SmtpClient
from pillarbox.smtp.client.engine import Want as ClientWant
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode
from pillarbox.smtp.client.transaction import Recipient, Transaction
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.service import MailService
from pillarbox.transfer import policy as transfer
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Link

_PLAIN = b64encode(f"\0{NAME}\0{PASSWORD}".encode())


def _link(mode: int) -> Link:
    return Link(tls=TLS if mode & 1 else None, emit=emit)


def imap(octets: bytes) -> None:
    """The first octet: TLS, logged in, INBOX selected."""
    run(_imap(octets))


async def _imap(octets: bytes) -> None:
    mode = octets[0] if octets else 0
    engine = ImapEngine(
        _link(mode), await open_store(), OneAccount(), nonce=lambda: "nonce", clock=lambda: float(EPOCH)
    )
    first = b""
    if mode & 3 == 3:
        first = f"a LOGIN {NAME} {PASSWORD}\r\n".encode() + (b"b SELECT INBOX\r\n" if mode & 4 else b"")
    await converse(engine, pieces(octets[1:]), first)


def pop3(octets: bytes) -> None:
    """The first octet: TLS, logged in."""
    run(_pop3(octets))


async def _pop3(octets: bytes) -> None:
    mode = octets[0] if octets else 0
    engine = Pop3Engine(_link(mode), await open_store(), OneAccount(), locks=MaildropLocks(), nonce=lambda: "nonce")
    first = f"USER {NAME}\r\nPASS {PASSWORD}\r\n".encode() if mode & 3 == 3 else b""
    await converse(engine, pieces(octets[1:]), first)


def smtp(octets: bytes) -> None:
    """The first octet: TLS, logged in, submission or port 25."""
    run(_smtp(octets))


async def _smtp(octets: bytes) -> None:
    mode = octets[0] if octets else 0
    submission = bool(mode & 4)
    store = await open_store()
    house = transfer.Policy(hostname="mail.b.test")
    service: MailService = Submission(store, house) if submission else Reception(store, house)
    engine = SmtpEngine(
        _link(mode),
        service,
        Policy(hostname="mail.b.test", submission=submission),
        OneAccount() if submission else None,
    )
    first = b"EHLO x.test\r\nAUTH PLAIN %b\r\n" % _PLAIN if mode & 7 == 7 else b""
    await converse(engine, pieces(octets[1:]), first)


def smtp_client(octets: bytes) -> None:
    """Any server: the first octet is the kind of hop and whether there is a login."""
    mode = octets[0] if octets else 0
    tls_mode = list(TlsMode)[mode & 3]
    login = Login("relay", Secret(PASSWORD)) if mode & 4 else None
    client = SmtpClient(ClientPolicy(host_name="us.test"), tls_mode, login)
    client.connected(TLS if tls_mode is TlsMode.IMPLICIT else None)
    transaction = Transaction("a@us.test", [Recipient("b@them.test"), Recipient("c@them.test")], 100, eight_bit=True)
    sent = False
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
        if client.tls is None and tls_mode is not TlsMode.NONE:
            assert _PLAIN not in b"".join(client.out.chunks), "a password in the clear"
        client.out.take()
    client.lost("the connection broke")
    assert client.want is ClientWant.CLOSED
    assert not sent or None not in transaction.outcomes, "a recipient without an outcome"
