"""The server's own certificate authority, for whoever has no certificate yet; and a watch over certificate files.

Whoever trusts DIR/ca.pem can check this server's certificate like any other. Strangers do not trust it: for a server on
the internet a public authority's certificate belongs into the configuration.

Security: private keys are written 0600, and never leave the data directory.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pillarbox.net.tls import CertificateFiles

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
"""A third of the life is left for whoever has to notice that renewal fails."""

WATCH_INTERVAL = 10.0
"""Seconds between two looks at the files."""

_BACKDATE = timedelta(hours=1)
"""Clients whose clock is a little behind must not take a new certificate for one from the future."""

_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class CertificateError(Exception):
    """A certificate or key cannot be used; the text says which and why."""


class LocalAuthority:
    """`ca.pem`, `ca.key`, `server.pem` and `server.key` in one directory."""

    def __init__(self, directory: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.directory = directory
        self.certificate = directory / "ca.pem"
        self._clock = clock

    def server_files(self, names: Sequence[str]) -> CertificateFiles:
        """A certificate for these names and IP addresses: the one that is there, or a new one when it ends soon or lacks
        a name. Raises CertificateError when the directory's files are damaged."""
        files = CertificateFiles(self.directory / "server.pem", self.directory / "server.key", tuple(names))
        if not self._is_good(files):
            self._issue(files)
        return files

    def _is_good(self, files: CertificateFiles) -> bool:
        if not (files.certificate.exists() and files.key.exists() and self.certificate.exists()):
            return False
        try:
            certificate = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        except ValueError:
            return False
        if certificate.not_valid_after_utc - self._clock() < RENEW_BEFORE:
            return False
        return set(map(str.lower, files.names)) <= set(certificate_names(certificate))

    def _issue(self, files: CertificateFiles) -> None:
        authority, authority_key = self._authority()
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock()
        certificate = (
            _builder(files.names[0], now, SERVER_LIFE)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(list(map(_general_name, files.names))), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        _write(files.key, _private(key), 0o600)
        _write(files.certificate, certificate.public_bytes(pem) + authority.public_bytes(pem), 0o644)

    def _authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key_file = self.directory / "ca.key"
        if self.certificate.exists() and key_file.exists():
            try:
                certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
                key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            except ValueError as error:
                raise CertificateError(
                    f"{self.certificate} or {key_file.name} is damaged ({error}); remove both for a new authority, "
                    "which clients then have to trust anew"
                ) from None
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise CertificateError(f"{key_file} is not an elliptic curve key")
            if certificate.not_valid_after_utc - self._clock() > SERVER_LIFE:
                return certificate, key
        return self._new_authority(key_file)

    def _new_authority(self, key_file: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock()
        # Names of authorities tell apart servers that one client trusts.
        name = f"Pillarbox local authority {os.urandom(4).hex()}"
        certificate = (
            _builder(name, now, AUTHORITY_LIFE)
            .issuer_name(_name(name))
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(key_file, _private(key), 0o600)
        _write(self.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return certificate, key


def read_names(certificate: Path) -> tuple[str, ...]:
    """Host names and addresses that a certificate file is for. Raises CertificateError."""
    try:
        return tuple(certificate_names(x509.load_pem_x509_certificates(certificate.read_bytes())[0]))
    except OSError as error:
        raise CertificateError(f"{certificate} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError) as error:
        raise CertificateError(f"{certificate} is not a certificate in PEM form: {error}") from None


def certificate_names(certificate: x509.Certificate) -> list[str]:
    """Its subject alternative names, in lower case."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return hosts + [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def _builder(common_name: str, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])  # RFC 5280: ub-common-name


def _general_name(name: str) -> x509.GeneralName:
    try:
        address: IPv4Address | IPv6Address = ip_address(name)
    except ValueError:
        return x509.DNSName(name)
    return x509.IPAddress(address)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Whole or not at all, and never readable for others in between."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


class CertificateWatch:
    """Calls `reload` when files have changed, and `renew` now and then, until it is cancelled."""

    def __init__(
        self,
        reload: Callable[[], Awaitable[bool]],
        renew: Callable[[], None],
        files: Callable[[], Sequence[Path]],
        *,
        interval: float = WATCH_INTERVAL,
    ) -> None:
        self._reload, self._renew, self._files, self._interval = reload, renew, files, interval
        self._seen = self._signature()

    async def run(self) -> None:
        """A failed reload is tried again with each change of the files: certificate and key seldom change together."""
        while True:
            await asyncio.sleep(self._interval)
            self._renew()
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                await self._reload()

    def _signature(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for path in self._files():
            try:
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found
