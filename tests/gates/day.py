"""A day of a server: every way to log in, on every port, with right and wrong passwords, well-formed and broken, and mail
of every kind. For tests that look at what is left behind."""

import imaplib
import itertools
import poplib
import re
import smtplib
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.gates.watched import DOMAIN, Watched

from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.secret import Secret

ALICE, BOB, WORLD = f"alice@{DOMAIN}", f"bob@{DOMAIN}", f"world@{DOMAIN}"

RIGHT = "Quittengelee-äß 7!"
WRONG = "Hagebutte&Schlehe=42"
CLEAR = "Mirabelle~im+Freien%9"
CHANGED = "Johannisbeere/neu#5"
BROKEN = "Preiselbeere'kaputt\"1"
MISPLACED = "Stachelbeere-als-Name"
RAW = "Brombeere ohne Kodierung"
BUG = "Sanddorn:Fehler@8"
CLUMSY = "Holunder vertippt x3"

SECRETS = (RIGHT, WRONG, CLEAR, CHANGED, BROKEN, MISPLACED, RAW, BUG, CLUMSY)
"""Each is used for one kind of accident, so that what leaks tells how."""

PROTOCOL = {
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
    "pop3": "pop3",
    "pop3s": "pop3",
    "imap": "imap",
    "imaps": "imap",
}
Lines = tuple[bytes, ...]

_blocks = itertools.count(1)


class Wire:
    """One connection, from an address block of its own, so that nobody waits for another's wrong password."""

    def __init__(self, server: Watched, listener: str, *, tls: bool) -> None:
        number = next(_blocks)
        source = f"127.{1 + number // 250}.{number % 250}.1"
        address = ("127.0.0.1", server.port(listener))
        self._socket: socket.socket = socket.create_connection(address, 30, source_address=(source, 0))
        self.protocol = PROTOCOL[listener]
        self._buffer = b""
        implicit = listener.endswith("s")
        if implicit:
            self._secure(server.trust)
        self._reply(b"")
        if self.protocol == "smtp":
            self.say(b"EHLO client.example")
        if tls and not implicit:
            self.say({"smtp": b"STARTTLS", "pop3": b"STLS", "imap": b"x STARTTLS"}[self.protocol])
            self._secure(server.trust)
            if self.protocol == "smtp":
                self.say(b"EHLO client.example")

    def _secure(self, trust: ssl.SSLContext) -> None:
        self._socket = trust.wrap_socket(self._socket, server_hostname="localhost")

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def say(self, line: bytes) -> bytes:
        """Send a line; the reply's last line, nothing when the connection has ended."""
        try:
            self.send(line + b"\r\n")
            return self._reply(line.split(b" ", 1)[0])
        except (ConnectionError, ssl.SSLError):
            return b""

    def _reply(self, tag: bytes) -> bytes:
        while line := self._line():
            if self.protocol == "pop3" or (self.protocol == "smtp" and line[3:4] == b" "):
                return line
            if self.protocol == "imap" and re.match(
                rb"\+|\* BAD|\* BYE|[^*\s]\S* (OK|NO|BAD)" + (b"" if tag else rb"|\* OK"), line
            ):
                return line
        return b""

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            octets = self._socket.recv(65536)
            if not octets:
                return b""
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def close(self) -> None:
        self._socket.close()


@contextmanager
def wire(server: Watched, listener: str, *, tls: bool = True) -> Iterator[Wire]:
    connection = Wire(server, listener, tls=tls)
    try:
        yield connection
    finally:
        connection.close()


def quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def literal(text: str) -> bytes:
    return b"{%d" % len(text.encode())


def logins(protocol: str, name: str, password: str) -> list[Lines]:
    """Every way to say a password but SCRAM, which does not say it."""
    command = {"smtp": b"AUTH ", "pop3": b"AUTH ", "imap": b"a AUTHENTICATE "}[protocol]
    plain = b64encode(f"\0{name}\0{password}".encode())
    acting = b64encode(f"{name}\0{name}\0{password}".encode())
    name64, password64 = b64encode(name.encode()), b64encode(password.encode())
    found: list[Lines] = [
        (command + b"PLAIN " + plain,),
        (command + b"PLAIN", plain),
        (command + b"PLAIN " + acting,),
        (command.lower() + b"plain " + plain,),
        (command + b"LOGIN", name64, password64),
        (command + b"LOGIN " + name64, password64),
    ]
    user, word, octets = name.encode(), password.encode(), literal(password)
    if protocol == "pop3":
        found += [(b"USER " + user, b"PASS " + word), (b"user " + user, b"pass " + word)]
    elif protocol == "imap":
        found += [
            (b"a LOGIN " + user + b" " + (quoted(password) if password.isascii() else octets + b"+}\r\n" + word),),
            (b"a login " + quoted(name) + b" " + octets + b"}", word),
            (b"a LOGIN " + literal(name) + b"}", user + b" " + octets + b"}", word),
            (b"a LOGIN " + literal(name) + b"+}\r\n" + user + b" " + octets + b"+}\r\n" + word,),
        ]
    return found


def accidents(protocol: str, name: str, password: str) -> list[Lines]:
    """Lines with a password in them that nobody can parse."""
    word, user = password.encode(), name.encode()
    plain = b64encode(f"\0{name}\0{password}".encode())
    found: list[Lines] = [
        (b"LOGIN " + user + b" " + word,),
        (b"a LOGIN " + user + b" " + word,),
        (b"a LOGIN " + user + b' "' + word,),
        (b"a LOGIN  " + user + b"  " + word + b" and more",),
        (b"a UID LOGIN " + user + b" " + word,),
        (b"PASS " + word,),
        (b" PASS " + word,),
        (b"PASS\t" + word,),
        (b"AUTH PLAIN " + word,),
        (b"AUTH PLAIN " + plain + b" trailing",),
        (b"AUTH PLAIN " + plain[:-1],),
        (b"AUTH " + plain,),
        (b"AUTH LOGIN " + user + b" " + word,),
        (b"AUTH PLAIN", word),
        (b"AUTH LOGIN", user, word),
        (b"AUTH LOGIN " + b64encode(user), word),
        (b"AUTH PLAIN " + b64encode(user + b"\0" + word),),
        (b"AUTH PLAIN " + b64encode(b"\0" * 5 + word),),
        (b"AUTH XOAUTH2 " + b64encode(b"user=" + user + b"\1auth=Bearer " + word + b"\1\1"),),
        (b"AUTHENTICATE PLAIN " + plain,),
        (b"a AUTHENTICATE PLAIN", word),
        (b"a AUTHENTICATE PLAIN " + word,),
        (b"a AUTHENTICATE LOGIN", user, word),
        (b"a AUTHENTICATE SCRAM-SHA-256 " + b64encode(b"n,,n=" + user + b",r=" + word),),
        (b"a AUTHENTICATE SCRAM-SHA-256", word),
        (b"APOP " + user + b" " + word,),
        (plain,),
        (word,),
        (b"AUTH PLAIN " + b"A" * 20_000 + word,),
    ]
    if protocol == "imap":
        size = literal(password)
        found += [
            (b"a LOGIN " + user + b" " + size + b"+}\r\n" + word + b" more",),
            (b"a LOGIN " + size + b"+}\r\n" + word + b" {99999999}",),
            (b"a LOGIN " + user + b" ~" + size + b"}\r\n" + word,),
            (b"a LOGIN " + user + b" " + size + b"}", word + b" more"),
        ]
    return found


def try_each(server: Watched, listener: str, attempts: list[Lines], *, tls: bool) -> list[bytes]:
    """Each attempt on a connection of its own; the last reply of each."""

    def attempt(lines: Lines) -> bytes:
        with wire(server, listener, tls=tls) as connection:
            return [connection.say(line) for line in lines][-1]

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(attempt, attempts))


def scram(server: Watched, listener: str, name: str, password: str) -> bytes:
    """SCRAM with a right or wrong password; the last reply."""
    client = ScramClient(name, Secret(password), lambda: "client")
    with wire(server, listener) as connection:
        command = b"a AUTHENTICATE " if connection.protocol == "imap" else b"AUTH "
        reply = connection.say(command + b"SCRAM-SHA-256 " + b64encode(client.initial()))
        while reply.startswith((b"334 ", b"+ ")) and b"[" not in reply:
            challenge = b64decode(reply.split(b" ", 1)[1])
            reply = connection.say(b64encode(client.answer(challenge)))
        return reply


def mail(server: Watched, password: str) -> None:
    """Mail of every kind, so that every writer writes; large enough for a spool in a file."""
    letter = (
        f"From: {ALICE}\r\nTo: {BOB}, someone@far.example\r\nSubject: day\r\n\r\n".encode() + b"word " * 200 + b"\r\n"
    )
    large = letter + (b"x" * 78 + b"\r\n") * 80_000
    with smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.trust, timeout=30) as client:
        client.login(ALICE, password, initial_response_ok=False) if password.isascii() else client.ehlo()
    with wire(server, "submissions") as submitter:
        assert submitter.say(logins("smtp", ALICE, password)[0][0]).startswith(b"235")
        for octets in (letter, large):
            for line in (f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>", "RCPT TO:<someone@far.example>", "DATA"):
                assert submitter.say(line.encode())[:1] in b"23"
            submitter.send(octets)
            assert submitter.say(b".").startswith(b"250")
    with smtplib.SMTP("localhost", server.port("smtp"), timeout=30) as stranger:
        stranger.sendmail("x@far.example", [ALICE, BOB], letter)
    imap(server, password)
    pop3 = poplib.POP3_SSL("localhost", server.port("pop3s"), context=server.trust, timeout=30)
    pop3.encoding = "UTF-8"
    pop3.user(ALICE)
    pop3.pass_(password)
    pop3.retr(1)
    pop3.dele(1)
    pop3.quit()


def imap(server: Watched, password: str) -> None:
    """What people do to their mailboxes."""
    client = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.trust, timeout=30)
    client._encoding = "UTF-8"  # type: ignore[attr-defined]
    client.authenticate("PLAIN", lambda _challenge: f"\0{ALICE}\0{password}".encode())
    client.create("Work")
    client.append("Work", "(\\Seen)", "", b"Subject: kept\r\n\r\ntext\r\n")
    client.append("Work", "", "", b"Subject: large\r\n\r\n" + b"y" * 5_000_000 + b"\r\n")
    client.select("Work")
    client.store("1", "+FLAGS", "(\\Flagged)")
    client.fetch("1:*", "(BODY[] ENVELOPE)")
    client.search(None, "TEXT", "text")
    client.copy("1", "Archive")
    client.uid("MOVE", "2", "Trash")
    client.store("1", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.rename("Work", "Done")
    client.delete("Done")
    client.logout()
