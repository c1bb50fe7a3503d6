"""Channel bindings: what both ends of one TLS connection know and nobody between them does (RFC 5056, RFC 5929, RFC 9266).

SCRAM-SHA-256-PLUS signs one of them, so that a login fails where somebody with another certificate sits in the middle.

- `tls-exporter` (RFC 9266), TLS 1.3. Python's ssl module has no exporter, but it can write TLS secrets to a file. That file
  is here a pipe of this process to itself, emptied after each step of a handshake: only the exporter's secret is looked at,
  and nothing of it is kept but the exported value.
- `tls-server-end-point` (RFC 5929 §4): the hash of the certificate that was served, whatever the version.
- `tls-unique` (RFC 5929 §3), TLS 1.2, but not in a resumed session: there two connections may share it (RFC 7627 §1).

Clients of TLS 1.3 take `tls-exporter` (RFC 9266 §5) and cannot ask whether we have it. Where it cannot be had, nothing is
offered inside TLS 1.3.

Security: the client's octets decide which line is looked for; a line that does not fit gives no binding.
"""

import hashlib
import hmac
import os
import ssl
from pathlib import Path

_LABEL = b"EXPORTER-Channel-Binding"  # RFC 9266 §2
_LENGTH = 32
_RANDOM = slice(11, 43)
"""Of a ClientHello that begins a connection: 5 octets of record, 4 of message, 2 of version before it (RFC 8446 §4.1.2)."""

RANDOM_KNOWN = _RANDOM.stop
"""So many octets of the client's first ones tell its random number."""

_PIPE = 64 * 1024
_SHA384 = "SHA384"  # at the end of a cipher's name (RFC 8446 §B.4); all others have SHA256


class SecretPipe:
    """Where contexts write the secrets of handshakes, and `exporter_secret` takes them from, all in one thread.

    No end of the pipe ever blocks. It is empty when a handshake begins, one handshake cannot fill it, and once that is done
    its connection goes on with the context `quiet`, or each of its new keys (RFC 8446 §4.6.3) would come here too.
    """

    def __init__(self) -> None:
        self.quiet = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def attach(self, context: ssl.SSLContext) -> None:
        """Have this context write here. Raises OSError where the system has no /dev/fd."""
        context.keylog_filename = f"/dev/fd/{self._writer}"
        us = os.fstat(self._writer)
        for entry in os.listdir("/dev/fd"):  # the library opened the pipe once more, and that end would block
            try:
                other = os.fstat(int(entry))
                if (other.st_dev, other.st_ino) == (us.st_dev, us.st_ino):
                    os.set_blocking(int(entry), False)
            except OSError:
                continue  # the descriptor of the listing itself

    def empty(self) -> None:
        """Forget what is in the pipe: a handshake begins."""
        self._take()

    def exporter_secret(self, first_octets: bytes) -> bytes | None:
        """Empties the pipe; the exporter's secret of the connection that the client began with these octets, if it has just
        come."""
        wanted = b"EXPORTER_SECRET " + first_octets[_RANDOM].hex().encode() + b" "
        for line in self._take().split(b"\n"):
            if line.startswith(wanted):
                return bytes.fromhex(line[len(wanted) :].decode())
        return None

    def _take(self) -> bytes:
        taken = b""
        try:
            while octets := os.read(self._reader, _PIPE):
                taken += octets
                if len(octets) < _PIPE:
                    break
        except BlockingIOError:
            pass
        return taken

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def export(secret: bytes, cipher: str) -> bytes:
    """`tls-exporter` (RFC 9266 §4.1: an empty context, 32 octets), by the exporter of RFC 8446 §7.5."""
    name = "sha384" if cipher.endswith(_SHA384) else "sha256"
    derived = _expand_label(name, secret, _LABEL, hashlib.new(name).digest(), hashlib.new(name).digest_size)
    return _expand_label(name, derived, b"exporter", hashlib.new(name).digest(), _LENGTH)


def _expand_label(name: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 §7.1); `length` is at most one digest."""
    label = b"tls13 " + label
    info = b"%b%c%b%c%b\1" % (length.to_bytes(2, "big"), len(label), label, len(context), context)
    return hmac.digest(secret, info, name)[:length]


def end_point(certificate: Path) -> bytes | None:
    """`tls-server-end-point` of the first certificate in a PEM file; None where its signature has no hash of its own, as
    Ed25519, and the binding is not defined (RFC 5929 §4.1). Raises OSError, ValueError."""
    from cryptography import x509  # slow to import, and nothing that talks to a client needs it
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.hashes import MD5, SHA1
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        algorithm = leaf.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    name = "sha256" if isinstance(algorithm, MD5 | SHA1) else algorithm.name
    return hashlib.new(name, leaf.public_bytes(Encoding.DER)).digest()
