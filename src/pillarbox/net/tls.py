"""TLS on a connection through memory buffers (RFC 8446, 5246; profile of RFC 8314 §4 and RFC 7525).

Own layer instead of the event loop's: it is smaller per idle connection and shows the border between plaintext and TLS.

Security: strangers feed this. TLS 1.2 and 1.3 only, ephemeral keys only, no compression, no renegotiation; what does
not look like a ClientHello never reaches the TLS library.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pillarbox.net.channel_binding import RANDOM_KNOWN, SecretPipe, end_point, export
from pillarbox.wire.engine import TlsInfo

WRITE_PIECE = 64 * 1024
"""Plaintext octets encrypted at a time: larger calls gain nothing, smaller ones cost a third more."""

READ_PIECE = 32 * 1024
"""Ciphertext octets decrypted at a time. A memory buffer never shrinks, so that this bounds what an idle one holds."""

RECORD = 16 * 1024
"""Plaintext octets of the largest TLS record (RFC 8446 §5.1)."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 suites: forward secrecy and authenticated encryption. Those of TLS 1.3 are all such."""


class TlsError(Exception):
    """The handshake or a record failed; the text is short and fit for a log."""


class NotTls(TlsError):
    """The first octets are no ClientHello: somebody speaks plaintext (or HTTP) to a TLS port."""


class _ServerObject(ssl.SSLObject):
    """An SSLObject that remembers which name the client asked for."""

    asked_name: str | None = None


class _ServerContext(ssl.SSLContext):
    """What connections on it need for channel binding, if they have it: the certificate's, and where TLS 1.3 secrets come
    from; None where there is none."""

    binding = False
    end_point: bytes | None = None
    secrets: SecretPipe | None = None


class TlsLayer:
    """TLS between the octets of one connection and its engine. Never touches a socket: ciphertext goes in and comes out."""

    __slots__ = ("_begun", "_closed", "_exporter", "_first", "_incoming", "_object", "_outgoing", "ended", "info")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._begun = self._closed = False
        self._first = b""  # the client's first octets
        self._exporter: bytes | None = None  # the exporter's secret, while the handshake runs
        self.info: TlsInfo | None = None
        self.ended = False

    def handshake(self, octets: bytes) -> bool:
        """Go on with what was received; True when the handshake is done. Raises TlsError; then `output` has the alert."""
        secrets = cast(_ServerContext, self._object.context).secrets
        if not self._begun:
            # RFC 8446 §5.1: content type handshake(22), legacy_record_version 3.x.
            if not (octets[0] == 0x16 and octets[1:2] in (b"\x03", b"")):
                raise NotTls("plaintext where TLS was expected")
            self._begun = True
            if secrets is not None:
                secrets.empty()
        if secrets is not None and len(self._first) < RANDOM_KNOWN:
            self._first += octets[: RANDOM_KNOWN - len(self._first)]
        self._incoming.write(octets)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, OSError) as error:
            raise TlsError(_reason(error)) from None
        finally:
            secrets = cast(_ServerContext, self._object.context).secrets
            if secrets is not None:
                self._exporter = secrets.exporter_secret(self._first) or self._exporter
        self.info = self._describe()
        self._stop_telling()
        return True

    def decrypt(self, octets: bytes) -> list[bytes]:
        """The plaintext of what was received. Sets `ended` at the peer's close_notify. Raises TlsError."""
        plaintext: list[bytes] = []
        if len(octets) <= READ_PIECE:
            self._incoming.write(octets)
            self._read_into(plaintext)
            return plaintext
        view = memoryview(octets)
        for start in range(0, len(view), READ_PIECE):
            self._incoming.write(view[start : start + READ_PIECE])
            self._read_into(plaintext)
        return plaintext

    def encrypt(self, chunks: Sequence[bytes]) -> list[bytes]:
        """The ciphertext of the chunks, in pieces, behind what `output` would give. Raises TlsError."""
        if sum(map(len, chunks)) < WRITE_PIECE:
            return [self._seal(chunks[0] if len(chunks) == 1 else b"".join(chunks))]
        return list(self._encrypt_much(chunks))

    def _encrypt_much(self, chunks: Sequence[bytes]) -> Iterator[bytes]:
        gathered: list[bytes] = []
        size = 0
        for chunk in chunks:
            if len(chunk) >= WRITE_PIECE:
                if gathered:
                    yield self._seal(b"".join(gathered))
                    gathered, size = [], 0
                view = memoryview(chunk)
                for start in range(0, len(view), WRITE_PIECE):
                    yield self._seal(view[start : start + WRITE_PIECE])
                continue
            gathered.append(chunk)
            size += len(chunk)
            if size >= WRITE_PIECE:
                yield self._seal(b"".join(gathered))
                gathered, size = [], 0
        if gathered:
            yield self._seal(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def output(self) -> bytes:
        """Ciphertext that the library wants to send by itself: handshake messages, alerts, key updates."""
        return self._outgoing.read()

    def close(self) -> bytes:
        """Our close_notify (RFC 8446 §6.1); nothing the second time."""
        if self.info is not None and not self._closed:
            self._closed = True
            try:
                self._object.unwrap()
            except (ssl.SSLError, OSError):
                pass  # the peer's close_notify is not waited for
        return self._outgoing.read()

    def _read_into(self, plaintext: list[bytes]) -> None:
        incoming, tls = self._incoming, self._object
        try:
            while incoming.pending or tls.pending():
                octets = tls.read(RECORD)
                if not octets:
                    self.ended = True
                    return
                plaintext.append(octets)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except (ssl.SSLError, OSError) as error:
            raise TlsError(_reason(error)) from None

    def _seal(self, octets: bytes | memoryview) -> bytes:
        try:
            self._object.write(octets)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(_reason(error)) from None
        return self._outgoing.read()

    def _describe(self) -> TlsInfo:
        cipher = self._object.cipher()
        return TlsInfo(
            version=self._object.version() or "",
            cipher=cipher[0] if cipher else "",
            alpn=self._object.selected_alpn_protocol(),
            server_name=cast(_ServerObject, self._object).asked_name,
            bindings=self._bindings(cipher[0] if cipher else ""),
        )

    def _bindings(self, cipher: str) -> dict[str, bytes]:
        secret, self._exporter, self._first = self._exporter, None, b""
        context = cast(_ServerContext, self._object.context)
        if not context.binding:
            return {}
        found = {}
        if self._object.version() == "TLSv1.3":
            if secret is None:
                return {}
            found["tls-exporter"] = export(secret, cipher)
        elif not self._object.session_reused and (unique := self._object.get_channel_binding("tls-unique")):
            found["tls-unique"] = unique
        if context.end_point is not None:
            found["tls-server-end-point"] = context.end_point
        return found

    def _stop_telling(self) -> None:
        """Later secrets of this connection are told to nobody."""
        secrets = cast(_ServerContext, self._object.context).secrets
        if secrets is not None:
            self._object.context = secrets.quiet


def _reason(error: Exception) -> str:
    """OpenSSL's own word for it, without file names and line numbers."""
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else type(error).__name__


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate (PEM, with its chain) and its key. `names` are host names it is served for; "*.example.org" too."""

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsProfile:
    """How one listener uses TLS. `alpn` is offered and never demanded: many programs send none, or a wrong one.

    `tickets` off for port 25: Microsoft's sender aborts a TLS 1.3 connection on which it gets a session ticket.
    `secrets`, for channel binding, where people log in and that is wanted.
    """

    alpn: str = ""
    tickets: bool = True
    secrets: SecretPipe | None = None


class ServerTls:
    """The server's side for one listener: `context()` for each new connection, `load` whenever the files have changed."""

    def __init__(self, profile: TlsProfile) -> None:
        self.profile = profile
        self._context: ssl.SSLContext | None = None

    def load(self, files: Sequence[CertificateFiles]) -> None:
        """Read the files; the first is for clients that name no host, or one that is not ours. Connections that stand
        keep what they have. Raises OSError or ssl.SSLError, and then everything stays as it was."""
        contexts = [(entry, server_context(entry, self.profile)) for entry in files]
        default = contexts[0][1]
        by_name = {name.lower(): context for entry, context in reversed(contexts) for name in entry.names}

        def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            if name is None:
                return
            cast(_ServerObject, tls).asked_name = name
            wanted = name.lower().rstrip(".")
            found = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
            if found is not None and found is not default:
                tls.context = found

        default.sni_callback = choose
        self._context = default

    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        if self._context is None:
            raise RuntimeError("no certificate has been loaded")
        return self._context


def server_context(files: CertificateFiles, profile: TlsProfile) -> ssl.SSLContext:
    """A context with this certificate. Raises OSError or ssl.SSLError when the files are no good."""
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1 if profile.tickets else 0
    if not profile.tickets:
        context.options |= ssl.OP_NO_TICKET
    if profile.alpn:
        context.set_alpn_protocols([profile.alpn])
    context.sslobject_class = _ServerObject
    context.load_cert_chain(files.certificate, files.key, password=_no_password)
    if profile.secrets is not None:
        context.binding = True
        with suppress(ValueError):
            context.end_point = end_point(files.certificate)
        with suppress(OSError):
            profile.secrets.attach(context)
            context.secrets = profile.secrets
    return context


def _no_password() -> str:
    """Never ask at a terminal: a key with a passphrase cannot be used by a server that restarts by itself."""
    raise ssl.SSLError("the key is protected by a passphrase")
