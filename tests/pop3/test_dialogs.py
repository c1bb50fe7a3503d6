"""Whole conversations, each in one chunk, octet by octet and cut at random: the same replies."""

import base64

import pytest
from tests.pop3.client import CUTS, LOGIN, Cut, Office, Pop3Client

ONE = b"From: a@example.org\r\nSubject: one\r\n\r\nfirst\r\n.second\r\nthird\r\n"
TWO = b"Subject: two\r\n\r\n"
SIZES = (len(ONE), len(TWO))

WELCOME = b"+OK Now the password\r\n+OK 2 messages\r\n"
PLAIN = base64.b64encode(b"\0alice@example.test\0open sesame")

NO_SUCH = b"-ERR There is no such message\r\n"
NO_NUMBER = b"-ERR A message number is expected\r\n"
WRONG = b"-ERR [AUTH] Wrong name or password\r\n"
NOT_PLAIN = b"-ERR The exchange failed: PLAIN needs an authorization identity, a name and a password\r\n"
TOP_TAKES = b"-ERR TOP takes a message number and a number of lines\r\n"
TOP_FOLLOWS = b"+OK The top follows\r\n"
WIRE_ONE = ONE.replace(b"\r\n.", b"\r\n..") + b".\r\n"

DIALOGS = [
    # before login
    (b"NOOP\r\n", b"-ERR Log in first\r\n"),
    (b"stat\r\nRETR 1\r\n", b"-ERR Log in first\r\n-ERR Log in first\r\n"),
    (b"PASS x\r\n", b"-ERR USER comes first\r\n"),
    (b"USER \r\n", b"-ERR A name is expected\r\n"),
    (b"USER \xff\r\n", b"-ERR Names and passwords are UTF-8\r\n"),
    (b"XTND\r\n", b"-ERR There is no such command\r\n"),
    (b"APOP alice 0123\r\n", b"-ERR There is no such command\r\n"),
    (b"\r\n", b"-ERR There is no such command\r\n"),
    (b"STLS\r\n", b"-ERR TLS is active already\r\n"),
    (b"QUIT\r\n", b"+OK Goodbye\r\n"),
    (b"QUIT\r\nNOOP\r\n", b"+OK Goodbye\r\n"),
    (b"quit\n", b"+OK Goodbye\r\n"),
    (b"AUTH\r\n", b"+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\nLOGIN\r\n.\r\n"),
    (b"AUTH CRAM-MD5\r\n", b"-ERR There is no such mechanism\r\n"),
    (b"AUTH PLAIN\r\n*\r\n", b"+ \r\n-ERR Given up, as you wish\r\n"),
    (b"AUTH PLAIN\r\n!!!\r\n", b"+ \r\n-ERR Base64 is expected\r\n"),
    (b"AUTH PLAIN =\r\n", NOT_PLAIN),
    (b"AUTH PLAIN " + PLAIN + b"\r\n", b"+OK 2 messages\r\n"),
    (b"auth plain\r\n" + PLAIN + b"\r\nSTAT\r\n", b"+ \r\n+OK 2 messages\r\n+OK 2 %d\r\n" % sum(SIZES)),
    (
        b"AUTH LOGIN\r\n" + base64.b64encode(b"alice@example.test") + b"\r\n" + base64.b64encode(b"open sesame") + b"\r\n",
        b"+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 2 messages\r\n",
    ),
    (b"AUTH PLAIN\r\n" + base64.b64encode(b"\0alice@example.test\0no") + b"\r\n", b"+ \r\n" + WRONG),
    (b"USER bob@example.test\r\nPASS open sesame\r\n", b"+OK Now the password\r\n" + WRONG),
    (b"USER nobody\r\nPASS x\r\n", b"+OK Now the password\r\n" + WRONG),
    (b"USER a\r\nPASS x\r\nPASS y\r\n", b"+OK Now the password\r\n" + WRONG + b"-ERR USER comes first\r\n"),
    (LOGIN, WELCOME),
    (b"UTF8\r\nLANG en\r\n" + LOGIN, b"+OK UTF-8 it is\r\n+OK en The language is English\r\n" + WELCOME),
    # after login
    (LOGIN + b"UTF8\r\nUSER x\r\nAUTH PLAIN\r\nSTLS\r\n", WELCOME + b"-ERR That is possible before login only\r\n" * 4),
    (LOGIN + b"LIST\r\n", WELCOME + b"+OK 2 messages\r\n1 %d\r\n2 %d\r\n.\r\n" % SIZES),
    (LOGIN + b"LIST 2\r\nlist 3\r\n", WELCOME + b"+OK 2 %d\r\n-ERR There is no such message\r\n" % SIZES[1]),
    (LOGIN + b"LIST 0\r\nLIST -1\r\nLIST x\r\nLIST 99999999999999999999\r\n",
     WELCOME + NO_SUCH + NO_NUMBER * 2 + NO_SUCH),
    (LOGIN + b"RETR 1\r\n", WELCOME + b"+OK %d octets\r\n" % SIZES[0] + WIRE_ONE),
    (LOGIN + b"TOP 1 0\r\n", WELCOME + TOP_FOLLOWS + b"From: a@example.org\r\nSubject: one\r\n\r\n.\r\n"),
    (LOGIN + b"TOP 1 2\r\n", WELCOME + TOP_FOLLOWS + b"From: a@example.org\r\nSubject: one\r\n\r\nfirst\r\n..second\r\n.\r\n"),
    (LOGIN + b"TOP 1 99\r\n", WELCOME + TOP_FOLLOWS + WIRE_ONE),
    (LOGIN + b"TOP 1\r\nTOP\r\nTOP x 1\r\nTOP 1 -1\r\n",
     WELCOME + TOP_TAKES * 2
     + b"-ERR A message number is expected\r\n-ERR TOP takes a message number and a number of lines\r\n"),
    (LOGIN + b"DELE 1\r\nSTAT\r\nRETR 1\r\nLIST\r\nRSET\r\nSTAT\r\n",
     WELCOME + b"+OK Marked; QUIT deletes\r\n+OK 1 %d\r\n-ERR The message is marked as deleted\r\n"
     b"+OK 1 messages\r\n2 %d\r\n.\r\n"
     b"+OK 2 messages\r\n+OK 2 %d\r\n" % (SIZES[1], SIZES[1], sum(SIZES))),
    (LOGIN + b"DELE 2\r\nDELE 2\r\nQUIT\r\n",
     WELCOME + b"+OK Marked; QUIT deletes\r\n-ERR The message is marked as deleted\r\n+OK Goodbye; 1 messages deleted\r\n"),
    (LOGIN + b"NOOP\r\nNOOP x\r\nSTAT 1\r\nNOOP \r\n",
     WELCOME + b"+OK Still here\r\n" + b"-ERR The command takes no argument\r\n" * 2 + b"+OK Still here\r\n"),
    (LOGIN + b"LANG\r\nLANG *\r\nLANG de\r\nLANG EN-gb\r\n",
     WELCOME + b"+OK Languages follow\r\ni-default Default\r\nen English\r\n.\r\n+OK i-default The language is English\r\n"
     b"-ERR There is no such language here\r\n+OK en The language is English\r\n"),
    (LOGIN + b"QUIT\r\nSTAT\r\n", WELCOME + b"+OK Goodbye; 0 messages deleted\r\n"),
    # lines
    (b"USER " + b"x" * 2000 + b"\r\nQUIT\r\n", b"-ERR The line is too long\r\n+OK Goodbye\r\n"),
    (b"AUTH PLAIN\r\n" + b"A" * 13000 + b"\r\nQUIT\r\n", b"+ \r\n-ERR The line is too long\r\n+OK Goodbye\r\n"),
    (b"AUTH PLAIN " + b"A" * 2000 + b"\r\n", NOT_PLAIN),
    (b"NO\0OP\r\nQUIT\r\n", b"-ERR NUL is not allowed\r\n"),
    (LOGIN + b"RETR 1\0\r\nSTAT\r\n", WELCOME + b"-ERR NUL is not allowed\r\n"),
    # not POP3
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + LOGIN, b""),
    (b"POST /x HTTP/1.0\r\n\r\n", b""),
    (b"PROPFIND / HTTP/1.1\r\n", b""),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n" + b"x" * 500, b""),
    (b"a\r\nb\r\nc\r\nd\r\ne\r\nf\r\n", b"-ERR There is no such command\r\n" * 4 + b"-ERR Too many bad commands\r\n"),
]  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("said", "answered"), DIALOGS)
async def test_dialog(said: bytes, answered: bytes, cut: Cut) -> None:
    office = await Office.open(ONE, TWO)
    assert await office.connect().send(said, cut) == answered


async def capabilities(client: Pop3Client) -> list[str]:
    return await client.lines("CAPA")


ALWAYS = {
    "UIDL",
    "TOP",
    "PIPELINING",
    "RESP-CODES",
    "AUTH-RESP-CODE",
    "EXPIRE NEVER",
    "LOGIN-DELAY 0",
    "UTF8 USER",
    "LANG",
}


async def test_capabilities_name_what_is_true_now() -> None:
    office = await Office.open()
    assert set(await capabilities(office.connect(tls=None))) == ALWAYS | {"STLS"}
    client = office.connect()
    inside = ALWAYS | {"USER", "SASL SCRAM-SHA-256 PLAIN LOGIN"}
    assert set(await capabilities(client)) == inside
    await client.send(LOGIN)
    assert {c for c in await capabilities(client) if not c.startswith("IMPLEMENTATION Pillarbox-")} == inside
    assert len(await capabilities(client)) == len(inside) + 1


async def test_greeting_tells_strangers_nothing() -> None:
    client = (await Office.open()).connect(tls=None)
    assert client.greeting == b"+OK POP3 ready\r\n"
