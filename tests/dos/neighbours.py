"""People who behave well, and what they notice: a process of its own that logs in, reads, sends and waits for mail.

Usage: python -m tests.dos.neighbours OFFSET. Writes a JSON line for each thing done: its name, when it began (monotonic) and
the seconds that it took, or what went wrong. Ends when its standard input does.
"""

import json
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable

from tests.crash.server import PASSWORD
from tests.demo import PORTS
from tests.dos.town import ALICE, BOB

PATIENCE = 30.0
"""Seconds after which a person calls it broken."""

_OUT = threading.Lock()


def tell(**facts: object) -> None:
    """One line."""
    with _OUT:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


class Line:
    """A connection that reads line by line."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                self.socket = context.wrap_socket(self.socket)
            except BaseException:
                self.socket.close()
                raise
        self.buffer = b""

    def close(self) -> None:
        self.socket.close()

    def read(self) -> bytes:
        """One line. Raises ConnectionError at the end."""
        while b"\n" not in self.buffer:
            octets = self.socket.recv(65536)
            if not octets:
                raise ConnectionError(f"closed, after {self.buffer[-100:]!r}")
            self.buffer += octets
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def ask(self, command: bytes, tag: bytes = b"a") -> bytes:
        """An IMAP command; its tagged line, which must be OK."""
        self.say(tag + b" " + command + b"\r\n")
        while not (line := self.read()).startswith(tag + b" "):
            pass
        if not line.startswith(tag + b" OK"):
            raise ConnectionError(line.decode())
        return line

    def smtp(self, command: bytes, code: bytes) -> None:
        """An SMTP command and its reply, which must have this code; an empty command only waits."""
        if command:
            self.say(command + b"\r\n")
        while (line := self.read())[3:4] == b"-":
            pass
        if not line.startswith(code):
            raise ConnectionError(line.decode())


class Neighbours:
    """`offset` of the server's ports."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.over = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.listening = threading.Event()

    def port(self, name: str) -> int:
        return PORTS[name] + self.offset

    def log_in(self, address: str) -> Line:
        """A new IMAP session."""
        line = Line(self.port("imaps"), tls=True)
        try:
            line.read()
            line.ask(b'LOGIN %b "%b"' % (address.encode(), PASSWORD.encode()))
        except BaseException:
            line.close()
            raise
        return line

    def timed(self, name: str, act: Callable[[], object]) -> bool:
        """Do it, and tell how long it took."""
        began = time.monotonic()
        try:
            act()
        except (OSError, ValueError) as error:
            if not self.over.is_set():
                tell(op=name, at=began, error=f"{type(error).__name__}: {error}")
            return False
        tell(op=name, at=began, s=time.monotonic() - began)
        return True

    def call(self) -> None:
        """Log in on a new connection, again and again."""
        while not self.over.wait(0.15):
            self.timed("login", lambda: self.log_in(ALICE).close())

    def read(self) -> None:
        """One session that looks at its mail all the time."""
        line: Line | None = None
        number = 0
        while not self.over.wait(0.05):
            try:
                if line is None:
                    line = self.log_in(ALICE)
                    line.ask(b"SELECT INBOX")
                number = number % 300 + 1
                good = self._look(line, number)
            except (OSError, ValueError) as error:
                tell(op="session", at=time.monotonic(), error=str(error))
                good = False
            if not good and line is not None:
                line.close()
                line = None

    def _look(self, line: Line, number: int) -> bool:
        """Whether all three went well."""
        return (
            self.timed("noop", lambda: line.ask(b"NOOP"))
            and self.timed("select", lambda: line.ask(b"SELECT INBOX"))
            and self.timed("fetch", lambda: line.ask(b"FETCH %d (FLAGS BODY.PEEK[])" % number))
        )

    def send(self) -> None:
        """Deliver on port 25, and wait until the recipient's session has heard of it."""
        self.listening.wait(PATIENCE)
        while not self.over.wait(0.15):
            if not self.timed("deliver", self._deliver):
                continue
            if not self.timed("push", self._pushed):
                continue

    def _deliver(self) -> None:
        while self.arrived.acquire(blocking=False):
            pass  # what others sent
        line = Line(self.port("smtp"), tls=False)
        try:
            line.smtp(b"", b"220")
            line.smtp(b"EHLO neighbour.test", b"250")
            line.smtp(b"MAIL FROM:<carol@else.test>", b"250")
            line.smtp(b"RCPT TO:<%b>" % BOB.encode(), b"250")
            line.smtp(b"DATA", b"354")
            line.smtp(b"Subject: Hello\r\nFrom: carol@else.test\r\n\r\nHow are you?\r\n.", b"250")
        finally:
            line.close()

    def _pushed(self) -> None:
        if not self.arrived.acquire(timeout=PATIENCE):
            raise TimeoutError("no EXISTS came")

    def idle(self) -> None:
        """Bob's phone."""
        while not self.over.is_set():
            try:
                line = self.log_in(BOB)
            except OSError as error:
                tell(op="session", at=time.monotonic(), error=str(error))
                self.over.wait(0.2)
                continue
            try:
                line.ask(b"SELECT INBOX")
                line.say(b"i IDLE\r\n")
                while not self.over.is_set():
                    if line.buffer or select.select([line.socket], [], [], 0.2)[0] or _pending(line.socket):
                        text = line.read()
                        if text.startswith(b"+"):
                            self.listening.set()
                        if b" EXISTS" in text:
                            self.arrived.release()
            except OSError as error:
                if not self.over.is_set():
                    tell(op="session", at=time.monotonic(), error=str(error))
            finally:
                line.close()


def _pending(line: socket.socket) -> bool:
    return isinstance(line, ssl.SSLSocket) and line.pending() > 0


def main() -> None:
    """The command."""
    people = Neighbours(int(sys.argv[1]))
    work = [threading.Thread(target=act) for act in (people.call, people.read, people.send, people.idle)]
    for thread in work:
        thread.start()
    sys.stdin.read()
    people.over.set()
    for thread in work:
        thread.join()


if __name__ == "__main__":
    main()
