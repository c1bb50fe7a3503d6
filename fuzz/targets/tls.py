"""The border to the TLS library: any octets before, in and after the handshake; and plaintext that pretends."""

import atexit
import ssl
import tempfile
from functools import cache
from pathlib import Path

from fuzz.targets.world import pieces
from pillarbox.net.tls import TlsError, TlsLayer, TlsProfile, server_context
from pillarbox.server.authority import local_certificate


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and a client's; certificates are made once for a process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    files = local_certificate(Path(folder.name), ("localhost",))
    client = ssl.create_default_context(cafile=str(Path(folder.name) / "ca.pem"))
    return server_context(files, TlsProfile("imap")), client


def tls(octets: bytes) -> None:
    """The first octet: octets instead of a handshake, ciphertext after one, a handshake with octets in it, or plaintext."""
    mode, reads = (octets[0] if octets else 0) & 3, [read for read in pieces(octets[1:]) if read]
    layer = TlsLayer(_contexts()[0])
    if mode == 0:
        _handshake(layer, reads)
        return
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _contexts()[1].wrap_bio(incoming, outgoing, server_hostname="localhost")
    _exchange(client, layer, incoming, outgoing)
    if mode == 1 and reads:
        hello = bytearray(_hello())
        place = int.from_bytes(reads[0][:2], "big") % len(hello)
        hello[place : place + len(reads[0])] = reads[0][2:]
        _handshake(TlsLayer(_contexts()[0]), [bytes(hello), *reads[1:]])
    elif mode == 2:
        try:
            for read in reads:
                assert layer.decrypt(read) == [], "octets without a key became plaintext"
        except TlsError:
            layer.output()
    else:
        sent = []
        for read in reads:
            client.write(read)
            sent += layer.decrypt(outgoing.read())
        assert b"".join(sent) == b"".join(reads)
        for piece in layer.encrypt(reads):
            incoming.write(piece)
        assert b"".join(iter(lambda: _read(client), b"")) == b"".join(reads)
        layer.close()


def _handshake(layer: TlsLayer, reads: list[bytes]) -> None:
    try:
        for read in reads:
            if layer.info is None:
                assert not layer.handshake(read), "a handshake without a client"
    except TlsError as error:
        assert str(error)
    layer.output()
    layer.close()


def _exchange(client: ssl.SSLObject, layer: TlsLayer, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    for _ in range(4):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        if (flight := outgoing.read()) and layer.handshake(flight):
            incoming.write(layer.output())
            return
        incoming.write(layer.output())
    raise AssertionError("no handshake")


def _hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = _contexts()[1].wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _read(client: ssl.SSLObject) -> bytes:
    try:
        return client.read(65536)
    except ssl.SSLWantReadError:
        return b""
