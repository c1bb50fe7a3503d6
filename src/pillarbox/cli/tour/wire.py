"""A client's side of one connection that keeps what an eavesdropper on the way would have recorded.

TLS runs over memory buffers, so the recording is exactly what went through the socket: readable text before TLS, and
nothing but TLS records after it.
"""

import socket
import ssl

PATIENCE = 10.0
"""Seconds to wait for the server's next line; it answers in milliseconds."""

NAME = "mail.example.test"
"""What the certificate is checked for."""


class Wire:
    """One connection. `seen` is what passed, both ways, in order."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._context = context
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._buffer = bytearray()
        self.seen = bytearray()

    def start_tls(self) -> str:
        """Shake hands, checking certificate and name; returns what was agreed, for people."""
        tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write(self._receive())
        self._flush()
        self._tls = tls
        cipher = tls.cipher()
        return f"{tls.version()}, {cipher[0] if cipher else 'no cipher'}"

    def _flush(self) -> None:
        if octets := self._outgoing.read():
            self.seen += octets
            self._socket.sendall(octets)

    def _receive(self) -> bytes:
        octets = self._socket.recv(65536)
        if not octets:
            raise ConnectionError("the server closed the connection")
        self.seen += octets
        return octets

    def send(self, octets: bytes) -> None:
        """Send these octets, encrypted once TLS runs."""
        if self._tls is None:
            self.seen += octets
            self._socket.sendall(octets)
            return
        self._tls.write(octets)
        self._flush()

    def line(self) -> str:
        """The server's next line, without its line end."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line.decode("utf-8", "replace")

    def octets(self, number: int) -> bytes:
        """The server's next octets: an IMAP literal."""
        while len(self._buffer) < number:
            self._fill()
        octets = bytes(self._buffer[:number])
        del self._buffer[:number]
        return octets

    def _fill(self) -> None:
        if self._tls is None:
            self._buffer += self._receive()
            return
        while True:
            try:
                self._buffer += self._tls.read(65536)
                return
            except ssl.SSLWantReadError:
                self._incoming.write(self._receive())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def readable(self) -> list[str]:
        """Whole lines of text that an eavesdropper could read, up to the first TLS record."""
        clear, _, _ = bytes(self.seen).partition(b"\x16\x03")
        return [line for line in clear.decode("utf-8", "replace").split("\r\n") if line]
